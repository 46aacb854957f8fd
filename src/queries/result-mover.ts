/**
 * Moves the rows of closed queries from an AnswerShard's SQLite to R2, and deletes those of erased ones. Each step may be
 * the last before a kill: a segment is noted before its object is put, is put under a name of its content, and only then
 * are its rows let go. Called from the shard's alarm; agents' calls come in between.
 */

import { hexOf, sha256, type Bytes } from '../lib/bytes.ts'
import { Deadline } from '../lib/deadline.ts'
import type { AnswerLog } from './answer-log.ts'
import * as limits from './constants.ts'
import type { SegmentStore } from './segment-store.ts'
import type { ShardPlace } from './shard-name.ts'
import type { ShardStore } from './shard-store.ts'

/** How long R2 may take for one call. */
const R2_WITHIN_MS = 10_000
/** R2's delete takes 1,000 keys (Cloudflare R2 limits). */
const OBJECTS_AT_ONCE = 1_000
const QUERIES_AT_ONCE = 100

/** Where the segments of a query's answers in one shard lie in the archive bucket. */
export function segmentPrefix({ environmentId, shards, shard }: ShardPlace, queryId: string): string {
  return `results/environment=${environmentId}/query=${queryId}/${shards}-${shard}/`
}

interface Stores {
  answers: ShardStore
  log: AnswerLog
  segments: SegmentStore
}

export class ResultMover {
  readonly #stores: Stores
  readonly #bucket: R2Bucket
  readonly #place: () => ShardPlace

  constructor(stores: Stores, bucket: R2Bucket, place: () => ShardPlace) {
    this.#stores = stores
    this.#bucket = bucket
    this.#place = place
  }

  /** Does some of what is due. Returns when to go on; null: nothing is left. Where R2 is away, that is later. */
  async run(): Promise<number | null> {
    const { segments } = this.#stores
    const nowMs = Date.now()
    await this.finishErasing()
    try {
      await this.deleteDoomed(nowMs)
      await this.#move(nowMs)
    } catch (error) {
      console.error(JSON.stringify({ event: 'results-not-moved', error: String(error) }))
      segments.postpone(nowMs, nowMs + limits.MOVE_AGAIN_AFTER_MS)
    }
    return segments.nextDueMs()
  }

  /** Deletes what is left of erased queries, in slices, so that nobody waits for a large one. */
  async finishErasing(): Promise<void> {
    for (const number of this.#stores.segments.erasing())
      while (this.#stores.answers.eraseSlice(number, limits.ERASED_IN_A_SLICE)) await scheduler.wait(0)
  }

  /** Deletes the objects of erased queries. Throws when R2 does not answer. */
  async deleteDoomed(nowMs: number): Promise<void> {
    const { segments } = this.#stores
    for (;;) {
      const keys = segments.doomed(nowMs, OBJECTS_AT_ONCE)
      if (keys.length === 0) return
      await new Deadline(R2_WITHIN_MS).run(this.#bucket.delete(keys))
      segments.markDeleted(keys, nowMs)
    }
  }

  async #move(nowMs: number): Promise<void> {
    const { segments } = this.#stores
    let left = limits.SEGMENTS_PER_ALARM
    for (const number of segments.dueNumbers(nowMs, QUERIES_AT_ONCE)) {
      for (; left > 0; left -= 1) if (!(await this.#moveSegment(number, nowMs))) break
      if (left === 0) return
    }
  }

  /** Moves the next rows of a query. False: there are none, for now. */
  async #moveSegment(number: number, nowMs: number): Promise<boolean> {
    const { answers, segments } = this.#stores
    const planned = segments.planned(number)
    const first = planned?.first ?? segments.movedUpTo(number) + 1
    const packed = segments.pack(number, first, planned?.last ?? this.#lastToMove(number), {
      // What was begun is put as it was noted.
      maxAnswers: planned === null ? limits.MAX_SEGMENT_ANSWERS : planned.ends.length,
      maxBytes: planned === null ? limits.MAX_SEGMENT_BYTES : Infinity,
    })
    const query = answers.query(number)
    if (packed === null || query === null) {
      this.#settle(number, nowMs)
      return false
    }
    const { bytes } = packed
    const hash = await sha256(bytes)
    const name = `${segmentPrefix(this.#place(), query.id)}${hexOf(hash.subarray(0, 16))}.json.gz`
    const key = planned?.key ?? (bytes.length === 0 ? '' : name)
    if (planned === null && !segments.plan(number, packed, key)) return false
    if (key !== '') await this.#put(key, bytes, hash)
    segments.commit(number, packed)
    return true
  }

  /** Answers that are not log lines yet stay: the log reads them from here, and soon. */
  #lastToMove(number: number): number {
    const { log } = this.#stores
    return log.isPending(number) ? log.loggedUpTo(number) : Number.MAX_SAFE_INTEGER
  }

  #settle(number: number, nowMs: number): void {
    const { log, segments } = this.#stores
    segments.settle(number)
    if (log.isPending(number)) segments.moveLater(number, nowMs + limits.MOVE_AGAIN_AFTER_MS)
  }

  async #put(key: string, bytes: Bytes, hash: Bytes): Promise<void> {
    const options = { sha256: hash, httpMetadata: { contentType: 'application/gzip' } }
    await new Deadline(R2_WITHIN_MS).run(this.#bucket.put(key, bytes, options))
  }
}
