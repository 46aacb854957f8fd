/**
 * The newest snapshot of each node of one scheduled query, in the order of node ids. Compaction keeps where they are
 * (index/tallies); what came since is read from the objects that wait for it.
 */

import { Deadline } from '../lib/deadline.ts'
import type { ArchiveFound, ArchivePosition } from './archive.ts'
import type { IndexedRow } from './archive-object.ts'
import { erasedMatcher } from './erased-lines.ts'
import type { NodePlace } from './index/tallies-read.ts'
import { linesOf, type ArchivedLine } from './line.ts'
import { ObjectDamaged, ObjectGone, readObject } from './object-reader.ts'

const CALL_WITHIN_MS = 10_000
/** Of what is not compacted: what one call reads. */
const MAX_TAIL_OBJECTS = 200
const MAX_TAIL_BYTES = 64 * 1_024 * 1_024
/** A reply's lines come to no more than this, unless one alone does. */
const MAX_PAGE_BYTES = 16 * 1_024 * 1_024
const NODES_AT_ONCE = 25
const ROWS_AT_ONCE = 500
const READ_AT_ONCE = 4

export interface LatestPage {
  lines: ArchivedLine[]
  /** Where the next page begins: after this node; null: there is none. */
  nextAfter: string | null
  /** Snapshots received from this time on may be missing; null: none is. */
  incompleteFromMs: number | null
}

interface Newest {
  nodeId: string
  atMs: number
  eventId: string
  /** Held already where it came from the tail. */
  line: ArchivedLine | null
}

/** A page of nodes after one. Throws when the index or R2 does not answer. */
export async function readLatest(
  env: Env,
  environmentId: string,
  query: { name: string; afterNode: string; limit: number },
): Promise<LatestPage> {
  const reading = new LatestReading(env, environmentId, query.name)
  const { newest, incompleteFromMs } = await reading.tail(query.afterNode)
  const places = await reading.places(query.afterNode, query.limit + 1)
  for (const place of places) {
    const known = newest.get(place.nodeId)
    if (known === undefined || known.atMs < place.atMs) newest.set(place.nodeId, { ...place, line: null })
  }
  const ordered = [...newest.values()].sort((a, b) => (a.nodeId < b.nodeId ? -1 : 1))
  const { lines, taken } = await reading.lines(ordered.slice(0, query.limit))
  const last = ordered[taken - 1]?.nodeId ?? null
  return { lines, nextAfter: taken < ordered.length ? last : null, incompleteFromMs }
}

class LatestReading {
  readonly #env: Env
  readonly #environmentId: string
  readonly #name: string

  constructor(env: Env, environmentId: string, name: string) {
    this.#env = env
    this.#environmentId = environmentId
    this.#name = name
  }

  places(afterNode: string, limit: number): Promise<NodePlace[]> {
    return this.#within(this.#index().latestPlaces(this.#name, afterNode, limit))
  }

  /** The newest of each node among what is not compacted, oldest objects first, as far as one call goes. */
  async tail(afterNode: string): Promise<{ newest: Map<string, Newest>; incompleteFromMs: number | null }> {
    const newest = new Map<string, Newest>()
    const rows = await this.#rawRows()
    let objects = 0
    let bytes = 0
    for (const row of rows) {
      if (objects >= MAX_TAIL_OBJECTS || bytes >= MAX_TAIL_BYTES)
        return { newest, incompleteFromMs: row.firstMs }
      if (row.nodes?.every((nodeId) => nodeId <= afterNode) === true) continue
      objects += 1
      bytes += row.lineBytes
      await this.#read(row, (line) => {
        const { nodeId, receivedAt, eventId } = line.header
        const atMs = Date.parse(receivedAt)
        if (nodeId === null || nodeId <= afterNode) return
        if ((newest.get(nodeId)?.atMs ?? Number.NEGATIVE_INFINITY) > atMs) return
        // A copy, so that the object which it points into may go.
        newest.set(nodeId, { nodeId, atMs, eventId, line: { ...line, line: line.line.slice() } })
      })
    }
    return { newest, incompleteFromMs: null }
  }

  /** The lines of nodes, in their order, as many as a reply takes. What retention has deleted is left out. */
  async lines(newest: readonly Newest[]): Promise<{ lines: ArchivedLine[]; taken: number }> {
    const lines: ArchivedLine[] = []
    let bytes = 0
    for (let i = 0; i < newest.length; i += NODES_AT_ONCE) {
      const some = newest.slice(i, i + NODES_AT_ONCE)
      const found = await this.#linesAt(some.filter(({ line }) => line === null))
      for (const [offset, { line, eventId }] of some.entries()) {
        const held = line ?? found.get(eventId)
        bytes += held?.line.length ?? 0
        if (bytes > MAX_PAGE_BYTES && lines.length > 0) return { lines, taken: i + offset }
        if (held !== undefined) lines.push(held)
      }
    }
    return { lines, taken: newest.length }
  }

  async #linesAt(wanted: readonly Newest[]): Promise<Map<string, ArchivedLine>> {
    const found = new Map<string, ArchivedLine>()
    if (wanted.length === 0) return found
    const ids = new Set(wanted.map(({ eventId }) => eventId))
    const places = wanted.map(({ nodeId, atMs, eventId }) => ({ nodeId, atMs, eventId }))
    const rows = await this.#within(this.#index().findAt(this.#name, places))
    for (let i = 0; i < rows.length; i += READ_AT_ONCE) {
      await Promise.all(
        rows.slice(i, i + READ_AT_ONCE).map((row) =>
          this.#read(row, (line) => {
            const { eventId } = line.header
            if (ids.has(eventId)) found.set(eventId, { ...line, line: line.line.slice() })
          }),
        ),
      )
    }
    return found
  }

  async #rawRows(): Promise<IndexedRow[]> {
    const sinceMs = await this.#within(this.#index().countedThrough())
    if (sinceMs === null) return []
    const rows: IndexedRow[] = []
    const query = { types: ['snapshot' as const], sinceMs, untilMs: 1e15, nodeId: null, name: this.#name }
    let after: ArchivePosition | null = null
    let maxSequence: number | null = null
    do {
      const found: ArchiveFound = await this.#within(
        this.#index().find({ ...query, maxSequence, after, limit: ROWS_AT_ONCE }),
      )
      rows.push(...found.rows.filter((row) => !row.compacted))
      this.#isErased = erasedMatcher(found.erased)
      after = found.next
      maxSequence = found.maxSequence
    } while (after !== null)
    return rows.sort((a, b) => a.firstMs - b.firstMs)
  }

  #isErased: ReturnType<typeof erasedMatcher> = () => false

  /** Gives the query's lines of an object; none where it is gone. */
  async #read(row: IndexedRow, take: (line: ArchivedLine) => void): Promise<void> {
    try {
      for await (const piece of readObject(this.#env, row, new Deadline(CALL_WITHIN_MS))) {
        for (const line of linesOf(piece)) {
          const { name, nodeId, receivedAt } = line.header
          if (name === this.#name && !this.#isErased(nodeId, Date.parse(receivedAt))) take(line)
        }
      }
    } catch (error) {
      if (!(error instanceof ObjectGone) && !(error instanceof ObjectDamaged)) throw error
      console.warn(JSON.stringify({ event: 'archived-object-unreadable', key: row.key, reason: error.name }))
    }
  }

  #within<T>(work: Promise<T>): Promise<T> {
    return new Deadline(CALL_WITHIN_MS).run(work)
  }

  #index() {
    return this.#env.ARCHIVE_INDEX.getByName(this.#environmentId)
  }
}
