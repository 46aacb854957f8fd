/** Sorts what lines said by the object that keeps it, queries by their version. Pure but for hashing. */

import type { LogOrigin } from '../logs/message.ts'
import { BATCH_FORMAT, ORDINALS_PER_OBJECT } from './constants.ts'
import type { CostBatch, SeenVersion } from './kinds.ts'
import type { QueryTrouble, ScheduleReading } from './report.ts'
import { versionOf } from './version.ts'

export interface SeenReport {
  origin: LogOrigin
  reading: ScheduleReading
}

export interface SeenTrouble {
  origin: LogOrigin
  trouble: QueryTrouble
}

/** Whether an environment's configuration has a name. */
export type IsConfigured = (name: string) => boolean

export interface ObjectBatch {
  environmentId: string
  /** Any node of the object. */
  ordinal: number
  batch: CostBatch
}

export class BatchBuilder {
  readonly #batches = new Map<string, ObjectBatch & { indexes: Map<string, number> }>()
  /** The fleet has the same few queries: each is hashed once. */
  readonly #hashes = new Map<string, string>()

  async addReport({ origin, reading }: SeenReport, isConfigured: IsConfigured): Promise<void> {
    const place = this.#place(origin)
    const queries: CostBatch['reports'][number]['queries'] = []
    for (const { name, sql, intervalS, ...values } of reading.rows) {
      const hash = await this.#hash(sql, intervalS)
      const version = { name, hash, intervalS, isConfigured: isConfigured(name) }
      queries.push({ ...values, query: indexOf(place, version) })
    }
    const { unixTimeS, isWhole } = reading
    const report = { ordinal: origin.ordinal, unixTimeS, receivedS: receivedS(origin), isWhole, queries }
    place.batch.reports.push(report)
  }

  addTrouble({ origin, trouble }: SeenTrouble, isConfigured: IsConfigured): void {
    const place = this.#place(origin)
    const { kind, name, unixTimeS } = trouble
    const query = indexOf(place, { name, hash: '', intervalS: 0, isConfigured: isConfigured(name) })
    const { ordinal } = origin
    place.batch.troubles.push({ ordinal, query, kind, unixTimeS, receivedS: receivedS(origin) })
  }

  batches(): ObjectBatch[] {
    return [...this.#batches.values()].map(({ environmentId, ordinal, batch }) => ({
      environmentId,
      ordinal,
      batch,
    }))
  }

  #place({ environmentId, ordinal }: LogOrigin) {
    const key = `${environmentId}/${Math.floor(ordinal / ORDINALS_PER_OBJECT)}`
    let place = this.#batches.get(key)
    if (place === undefined) {
      const batch = { format: BATCH_FORMAT, queries: [], reports: [], troubles: [] }
      place = { environmentId, ordinal, batch, indexes: new Map() }
      this.#batches.set(key, place)
    }
    return place
  }

  async #hash(sql: string, intervalS: number): Promise<string> {
    const key = `${intervalS}\n${sql}`
    const known = this.#hashes.get(key)
    if (known !== undefined) return known
    const hash = await versionOf(sql, intervalS)
    this.#hashes.set(key, hash)
    return hash
  }
}

function indexOf(
  { batch, indexes }: { batch: CostBatch; indexes: Map<string, number> },
  version: SeenVersion,
): number {
  const key = `${version.hash} ${version.name}`
  const known = indexes.get(key)
  if (known !== undefined) return known
  batch.queries.push(version)
  indexes.set(key, batch.queries.length - 1)
  return batch.queries.length - 1
}

function receivedS({ receivedAtMs }: LogOrigin): number {
  return Math.floor(receivedAtMs / 1_000)
}
