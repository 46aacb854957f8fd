/**
 * Gathers envelope lines by environment, type and hour, and makes objects of them: first the object, then its row in
 * the index. It remembers which bodies were touched by a failure, so that only those are tried again.
 */

import { concatBytes, type Bytes } from '../lib/bytes.ts'
import { gzip } from '../lib/compression.ts'
import { Deadline } from '../lib/deadline.ts'
import {
  archiveKey,
  hourOf,
  MAX_ROW_ID_BYTES,
  MAX_ROW_NAMES,
  MAX_ROW_NODES,
  OBJECT_HTTP_METADATA,
  type ArchiveRow,
} from './archive-object.ts'
import { sendWakeUps } from './deliver/wake-up.ts'
import { prefixesOf } from './id-prefixes.ts'
import type { LineFacts, LineSource, LineType } from './line.ts'
import { retentionDaysOf } from './retention.ts'
import { wakeTail } from './tail/wake.ts'

/** An object is written when its lines come to this, so that memory stays flat whatever comes. */
const PIECE_BYTES = 4 * 1_024 * 1_024
/** How long one call to R2 or to the index may take. */
const CALL_WITHIN_MS = 30_000

interface Group {
  environmentId: string
  type: LineType
  hour: string
  retentionDays: number
  parts: Bytes[]
  eventIds: string[]
  lineBytes: number
  firstMs: number
  lastMs: number
  nodes: Set<string>
  names: Set<string>
  sourceIds: Set<string>
}

interface WrittenPiece {
  environmentId: string
  row: ArchiveRow
  sourceIds: ReadonlySet<string>
}

export class ArchiveWriter {
  readonly #env: Env
  #groups = new Map<string, Group>()
  #pieceNumbers = new Map<string, number>()
  #written: WrittenPiece[] = []
  #failed = new Set<string>()
  #heldBytes = 0

  constructor(env: Env) {
    this.#env = env
  }

  /** Bytes of lines that wait in memory. */
  get heldBytes(): number {
    return this.#heldBytes
  }

  /** Takes one envelope line of a body. */
  async add(
    sourceId: string,
    source: Pick<LineSource, 'environmentId' | 'nodeId' | 'receivedAtMs' | 'retention'>,
    facts: LineFacts & { eventId: string },
    envelope: Bytes,
  ): Promise<void> {
    const { environmentId, nodeId, receivedAtMs } = source
    const hour = hourOf(receivedAtMs)
    const retentionDays = retentionDaysOf(source.retention, facts.type)
    const place = `${environmentId}/${facts.type}/${hour}/${retentionDays}`
    let group = this.#groups.get(place)
    if (group === undefined) {
      group = emptyGroup(environmentId, facts.type, hour, retentionDays)
      this.#groups.set(place, group)
    }
    group.parts.push(envelope)
    group.eventIds.push(facts.eventId)
    group.lineBytes += envelope.length
    this.#heldBytes += envelope.length
    group.firstMs = Math.min(group.firstMs, receivedAtMs)
    group.lastMs = Math.max(group.lastMs, receivedAtMs)
    if (nodeId !== null) group.nodes.add(nodeId)
    group.names.add(facts.name)
    group.sourceIds.add(sourceId)
    if (group.lineBytes >= PIECE_BYTES) await this.#write(place, group)
  }

  /** Makes everything that was taken durable and findable. Returns the bodies for which that failed. */
  async flush(): Promise<ReadonlySet<string>> {
    for (const [place, group] of this.#groups) await this.#write(place, group)
    for (const [environmentId, pieces] of Map.groupBy(this.#written, (piece) => piece.environmentId)) {
      await this.#index(environmentId, pieces)
    }
    const failed = this.#failed
    this.#written = []
    this.#failed = new Set()
    this.#pieceNumbers = new Map()
    return failed
  }

  async #write(place: string, group: Group): Promise<void> {
    this.#groups.delete(place)
    this.#heldBytes -= group.lineBytes
    const piece = this.#pieceNumbers.get(place) ?? 0
    this.#pieceNumbers.set(place, piece + 1)
    const { environmentId, sourceIds } = group
    try {
      const key = await archiveKey(group, sourceIds, piece)
      const bytes = await gzip(concatBytes(group.parts))
      const put = this.#env.ARCHIVE.put(key, bytes, { httpMetadata: OBJECT_HTTP_METADATA })
      await new Deadline(CALL_WITHIN_MS).run(put)
      this.#written.push({ environmentId, row: rowOf(group, key, bytes.length), sourceIds })
    } catch (error) {
      this.#fail('archive-put-failed', sourceIds, error)
    }
  }

  async #index(environmentId: string, pieces: readonly WrittenPiece[]): Promise<void> {
    try {
      const archive = this.#env.ARCHIVE_INDEX.getByName(environmentId)
      const followers = await new Deadline(CALL_WITHIN_MS).run(archive.add(pieces.map(({ row }) => row)))
      await Promise.all([sendWakeUps(this.#env, followers), wakeTail(this.#env, environmentId, followers)])
    } catch (error) {
      for (const { sourceIds } of pieces) this.#fail('archive-index-failed', sourceIds, error)
    }
  }

  #fail(event: string, sourceIds: ReadonlySet<string>, error: unknown): void {
    console.error(JSON.stringify({ event, bodies: sourceIds.size, error: String(error) }))
    for (const sourceId of sourceIds) this.#failed.add(sourceId)
  }
}

function emptyGroup(environmentId: string, type: LineType, hour: string, retentionDays: number): Group {
  return {
    environmentId,
    type,
    hour,
    retentionDays,
    parts: [],
    eventIds: [],
    lineBytes: 0,
    firstMs: Number.POSITIVE_INFINITY,
    lastMs: 0,
    nodes: new Set(),
    names: new Set(),
    sourceIds: new Set(),
  }
}

function rowOf(group: Group, key: string, bytes: number): ArchiveRow {
  const { type, hour, retentionDays, lineBytes, firstMs, lastMs, nodes, names } = group
  const ids = prefixesOf(group.eventIds)
  return {
    key,
    type,
    hour,
    retentionDays,
    bytes,
    lineBytes,
    lines: group.parts.length,
    firstMs,
    lastMs,
    nodes: nodes.size > MAX_ROW_NODES ? null : [...nodes],
    names: names.size > MAX_ROW_NAMES ? null : [...names],
    ids: ids.length > MAX_ROW_ID_BYTES ? null : ids,
  }
}
