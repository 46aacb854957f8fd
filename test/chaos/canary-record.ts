/** What each agent of a fleet was told to be: every configuration, from the agents' side. */

import { createHash } from 'node:crypto'
import type { Member } from '../../src/simulator/fleet/member.ts'
import type { JsonObject } from '../../src/simulator/json.ts'

/** Of one agent. */
interface Life {
  /** Hashes of the documents it ever took on. */
  readonly documents: Set<string>
  hadPoison: boolean
  hasPoison: boolean
  /** Of the options that came with the poison, those that it runs under and that are not osquery's defaults. */
  strange: readonly string[]
  lastMs: number
}

export interface CanaryRecordOptions {
  /** The name of the scheduled query that kills. */
  readonly poison: string
  /** osquery's defaults of the options that came with it. */
  readonly defaults: Readonly<Record<string, string>>
}

export class CanaryRecord {
  readonly #options: CanaryRecordOptions
  readonly #lives = new Map<number, Life>()
  /** When the first agent had it, and when the last one was rid of it; 0: not yet. */
  firstPoisonedMs = 0
  lastFreedMs = 0

  constructor(options: CanaryRecordOptions) {
    this.#options = options
  }

  /** A member took on a document, or has it again. */
  note(member: Member, document: JsonObject, flags: Readonly<Record<string, string>>): void {
    const { defaults, poison } = this.#options
    const nowMs = Date.now()
    const life = this.#life(member.plan.index)
    life.documents.add(createHash('sha256').update(JSON.stringify(document)).digest('hex').slice(0, 16))
    const hasPoison = JSON.stringify(document).includes(`"${poison}"`)
    if (hasPoison && this.firstPoisonedMs === 0) this.firstPoisonedMs = nowMs
    if (life.hasPoison && !hasPoison) this.lastFreedMs = nowMs
    life.hadPoison ||= hasPoison
    life.hasPoison = hasPoison
    life.strange = Object.keys(defaults).filter((name) => flags[name] !== defaults[name])
    life.lastMs = nowMs
  }

  /** Agents that took on a configuration. */
  get configured(): number {
    return this.#lives.size
  }

  /** Agents that ever had the poison. */
  get poisoned(): number {
    return this.#count(({ hadPoison }) => hadPoison)
  }

  /** Agents that hold the query or an option of it. */
  get holding(): number {
    return this.#count(({ hasPoison, strange }) => hasPoison || strange.length > 0)
  }

  /** Of the agents that never had it, those whose document ever changed. */
  get disturbed(): number {
    return this.#count(({ documents, hadPoison }) => !hadPoison && documents.size !== 1)
  }

  /** Agents that have fetched their configuration since a time. */
  fetchedSince(atMs: number): number {
    return this.#count(({ lastMs }) => lastMs >= atMs)
  }

  #life(index: number): Life {
    const known = this.#lives.get(index)
    if (known !== undefined) return known
    const life = { documents: new Set<string>(), hadPoison: false, hasPoison: false, strange: [], lastMs: 0 }
    this.#lives.set(index, life)
    return life
  }

  #count(isMeant: (life: Life) => boolean): number {
    return [...this.#lives.values()].filter(isMeant).length
  }
}
