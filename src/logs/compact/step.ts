/**
 * One step of an environment's compaction: some raw objects of one hour become one, sorted by node. Steps of one
 * environment follow each other (the lease), and each is whole in itself: killed anywhere it leaves the archive as it
 * was before or as it is after. Outputs of a large hour follow each other in time; inside each, lines are in the order
 * of nodes, so a node's lines lie in one run of blocks of each.
 */

import { latestSnapshotPatterns } from '../../db/latest-snapshots.ts'
import { utf8, hexOf, sha256 } from '../../lib/bytes.ts'
import { Deadline } from '../../lib/deadline.ts'
import { archiveKey, OBJECT_HTTP_METADATA, type IndexedRow } from '../archive-object.ts'
import { erasedMatcher } from '../erased-lines.ts'
import { prefixesOf } from '../id-prefixes.ts'
import type { ErasedLines } from '../index/erased.ts'
import type { ErasureWork } from '../index/erasures.ts'
import type { InspectionWork } from '../index/inspection.ts'
import type { Tallies } from '../index/tallies.ts'
import type { LineType } from '../line.ts'
import { nameMatcher, type NameMatcher } from '../name-glob.ts'
import { ObjectDamaged, ObjectGone, readObject } from '../object-reader.ts'
import { eraseFromObjects, eraseSetAside } from './erase.ts'
import { inspectPiece } from './inspect.ts'
import { compactLinesOf, isNewer, LineSet } from './lines.ts'
import { outputOf } from './output.ts'
import { tallyOf } from './tally.ts'

/** A step is over before its lease ends (index/compaction). */
const STEP_WITHIN_MS = 4 * 60_000
/** Six connections may wait for headers at once (Workers limits). */
const READ_AT_ONCE = 6
/** Of other objects that have the same lines: what a step reads to be sure. Beyond it doubles stay. */
const MAX_PROOF_BYTES = 64 * 1_024 * 1_024

/** Whether there may be more to do at once, or nothing, or something failed. */
export type StepOutcome = 'more' | 'idle' | 'failed'

/** Does what is next for an environment. Failures are told to the index, and logged; they come again in time. */
export async function workStep(env: Env, environmentId: string, nowMs: number): Promise<StepOutcome> {
  const deadline = new Deadline(STEP_WITHIN_MS)
  const archive = env.ARCHIVE_INDEX.getByName(environmentId)
  const work = await deadline.run(archive.nextWork(nowMs))
  if (work === null) return 'idle'
  const step = new Step(env, environmentId, work.token, deadline)
  let failure: string | null = null
  try {
    if (work.garbage.length > 0) await step.deleteGarbage(work.garbage)
    else if (work.erasure !== null) await step.erase(work.erasure)
    else if (work.sources.length > 0) await step.compact(work.sources, work.erased)
    else if (work.inspection !== null) await step.inspect(work.inspection, nowMs)
  } catch (error) {
    failure = error instanceof Error ? error.name : 'unknown'
    console.error(JSON.stringify({ event: 'compaction-failed', environmentId, reason: String(error) }))
  }
  await archive.endWork(work.token, failure)
  return failure === null ? 'more' : 'failed'
}

class Step {
  readonly #env: Env
  readonly #environmentId: string
  readonly #token: string
  readonly #deadline: Deadline
  /** Node ids and names of the lines that are held, each once. */
  readonly #texts = new Map<string, string>()

  constructor(env: Env, environmentId: string, token: string, deadline: Deadline) {
    this.#env = env
    this.#environmentId = environmentId
    this.#token = token
    this.#deadline = deadline
  }

  /** Objects first, then what remembers them: killed between, they are deleted again. */
  async deleteGarbage(keys: readonly string[]): Promise<void> {
    await this.#deadline.run(this.#env.ARCHIVE.delete([...keys]))
    await this.#deadline.run(this.#archive().forgetGarbage(keys))
  }

  async erase(work: ErasureWork): Promise<void> {
    const context = { env: this.#env, environmentId: this.#environmentId, deadline: this.#deadline }
    if (work.phase === 'aside') {
      const { deleted, cursor } = await eraseSetAside(context, work)
      await this.#deadline.run(this.#archive().noteSetAside(this.#token, work.id, deleted, cursor))
    } else {
      const erased = await eraseFromObjects(context, work)
      const through = work.rows.at(-1)?.sequence ?? 0
      await this.#deadline.run(this.#archive().noteErased(this.#token, work.id, erased, through))
    }
  }

  async inspect(work: InspectionWork, nowMs: number): Promise<void> {
    const context = { env: this.#env, environmentId: this.#environmentId, deadline: this.#deadline, nowMs }
    const { found, next } = await inspectPiece(context, work)
    await this.#deadline.run(this.#archive().noteInspected(this.#token, found, next))
  }

  async compact(wanted: readonly IndexedRow[], erased: readonly ErasedLines[]): Promise<void> {
    const lines = new LineSet()
    const sources = await this.#read(wanted, lines, erasedMatcher(erased))
    const [first] = sources
    if (first === undefined) return
    const sequences = sources.map(({ sequence }) => sequence)
    await this.#leaveOutDoubles(lines, sources, sequences)
    const outputs = []
    let tallies: Tallies | null = null
    if (lines.size > 0) {
      const key = await outputKey(this.#environmentId, first, sources)
      const sorted = lines.sorted()
      tallies = tallyOf(first.type, first.hour, sorted, await this.#latestWanted(first.type))
      const { row, file } = await outputOf(key, first, sorted)
      if (!(await this.#deadline.run(this.#archive().reserve(this.#token, key)))) return
      await this.#deadline.run(this.#env.ARCHIVE.put(key, file, { httpMetadata: OBJECT_HTTP_METADATA }))
      outputs.push(row)
    }
    await this.#deadline.run(this.#archive().swap(this.#token, { sources: sequences, outputs }, tallies))
  }

  /** Of which queries the newest snapshots are kept. */
  async #latestWanted(type: LineType): Promise<NameMatcher> {
    if (type !== 'snapshot') return () => false
    const patterns = await this.#deadline.run(latestSnapshotPatterns(this.#env.DB, this.#environmentId))
    const matchers = patterns.map((pattern) => nameMatcher(pattern))
    return (name) => matchers.some((matches) => matches(name))
  }

  /** Reads objects into the set; gives back those that could be read. */
  async #read(
    wanted: readonly IndexedRow[],
    lines: LineSet,
    isErased: ReturnType<typeof erasedMatcher>,
  ): Promise<IndexedRow[]> {
    const sources: IndexedRow[] = []
    const missing: Pick<IndexedRow, 'sequence' | 'key'>[] = []
    for (let i = 0; i < wanted.length; i += READ_AT_ONCE) {
      await Promise.all(
        wanted.slice(i, i + READ_AT_ONCE).map(async (row) => {
          try {
            const pieces = await Array.fromAsync(readObject(this.#env, row, this.#deadline))
            for (const piece of pieces) {
              for (const line of compactLinesOf(piece, row.sequence, this.#texts)) {
                if (!isErased(line.nodeId, line.receivedAtMs)) lines.add(line)
              }
            }
            sources.push(row)
          } catch (error) {
            if (!(error instanceof ObjectGone) && !(error instanceof ObjectDamaged)) throw error
            missing.push({ sequence: row.sequence, key: row.key })
          }
        }),
      )
    }
    if (missing.length > 0) await this.#deadline.run(this.#archive().markMissing(missing))
    return sources.sort((a, b) => a.sequence - b.sequence)
  }

  /** Leaves out lines that are somewhere else too - only where that was seen: a prefix of an id is no proof. */
  async #leaveOutDoubles(
    lines: LineSet,
    sources: readonly IndexedRow[],
    sequences: readonly number[],
  ): Promise<void> {
    const eventIds = lines.eventIds()
    const firstMs = Math.min(...sources.map((row) => row.firstMs))
    const type = sources[0]?.type ?? ''
    const query = { sources: sequences, type, firstMs }
    const shared = await this.#deadline.run(this.#archive().findShared(prefixesOf(eventIds), query))
    let proofBytes = 0
    for (const { row, places } of shared) {
      proofBytes += row.lineBytes
      if (proofBytes > MAX_PROOF_BYTES) return
      await this.#leaveOutCopies(lines, row, new Set(places.map((place) => eventIds[place] ?? '')))
    }
  }

  async #leaveOutCopies(lines: LineSet, row: IndexedRow, eventIds: ReadonlySet<string>): Promise<void> {
    try {
      for await (const piece of readObject(this.#env, row, this.#deadline)) {
        for (const copy of compactLinesOf(piece, row.sequence, this.#texts)) {
          const { eventId } = copy
          const line = eventIds.has(eventId) ? lines.get(eventId) : undefined
          // What is compacted already stays; of raw ones the newest does.
          if (line !== undefined && (row.compacted || isNewer(copy, line))) lines.drop(eventId)
        }
      }
    } catch (error) {
      if (!(error instanceof ObjectGone) && !(error instanceof ObjectDamaged)) throw error
    }
  }

  // A new stub for each call: after an exception an old one is broken.
  #archive() {
    return this.#env.ARCHIVE_INDEX.getByName(this.#environmentId)
  }
}

/**
 * Named by what it is made of, so that a step that is done again writes the same object. Sequences are part of it: the
 * same raw objects may come a second time, long after.
 */
async function outputKey(
  environmentId: string,
  place: IndexedRow,
  sources: readonly IndexedRow[],
): Promise<string> {
  const made = sources.map(({ sequence, key }) => `${sequence} ${key}`)
  const digest = hexOf(await sha256(utf8(['compacted', ...made].join('\n'))))
  return archiveKey({ environmentId, ...place }, [digest], 0)
}
