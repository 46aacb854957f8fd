/** What the live tail knows of somebody who watches, and what such a one is told beside lines. */

import { utf8, type Bytes } from '../../lib/bytes.ts'
import { rfc3339 } from '../../lib/time.ts'
import type { IndexedRow } from '../archive-object.ts'
import { nameMatcher } from '../name-glob.ts'
import { lineMatcher, typesOf, type LineFilter, type LineMatcher } from '../line-filter.ts'

/** What the Worker hands over with a viewer. */
export interface TailRequest {
  format: 1
  environmentId: string
  filter: LineFilter
  /** SHA-256 of the operator token that it came with; null: it came with none. */
  tokenHash: string | null
  /** Of a WebSocket: what its client is told to be spoken. */
  subprotocol: string | null
}

export interface Viewer {
  readonly tokenHash: string | null
  readonly wanted: Wanted
  /** Takes the JSON of a line that it wants; may count it as missed instead. */
  offer(item: Bytes): void
  /** Lines that were not even read for it. */
  miss(lines: number): void
  /** Sends on what was offered. */
  flush(): void
  /** Whether a moment would let it catch up: it reads, but lines wait for it. */
  isBehind(nowMs: number): boolean
  /** Says that all is well although nothing comes. */
  beat(nowMs: number): void
  end(reason: string): void
}

/** A filter made ready. */
export class Wanted {
  readonly types: readonly string[]
  readonly matches: LineMatcher
  readonly #nodeId: string | null
  readonly #matchesName: (name: string) => boolean

  constructor(filter: LineFilter) {
    this.types = typesOf(filter.type)
    this.matches = lineMatcher(filter)
    this.#nodeId = filter.nodeId
    this.#matchesName = nameMatcher(filter.name)
  }

  /** Whether an object may hold such a line, by its row. */
  mayBeIn({ type, nodes, names }: IndexedRow): boolean {
    if (!this.types.includes(type)) return false
    if (this.#nodeId !== null && nodes !== null && !nodes.includes(this.#nodeId)) return false
    return names === null || names.some(this.#matchesName)
  }
}

/** The first line: from here on the viewer gets what comes in. */
export function startLine(environmentId: string): Bytes {
  return utf8(JSON.stringify({ type: 'start', environment: environmentId }))
}

export function heartbeatLine(nowMs: number): Bytes {
  return utf8(JSON.stringify({ type: 'heartbeat', at: rfc3339(nowMs) }))
}

/** The last line, where it is not the viewer who goes. */
export function endLine(reason: string): Bytes {
  return utf8(JSON.stringify({ type: 'end', reason }))
}
