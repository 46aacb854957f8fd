/**
 * The Archive object: one for each environment, named by its UUID. R2 has no index, so this is it: one row for each
 * object of log lines. It never holds lines, but of each the first bytes of its id: a resend may lie anywhere. The
 * tables and what is done with them are in index/; this is what others may call.
 */

import { DurableObject } from 'cloudflare:workers'
import type { Bytes } from '../lib/bytes.ts'
import { applySchema } from '../lib/object-schema.ts'
import * as followers from './archive-followers.ts'
import type { ArchiveRow, IndexedRow } from './archive-object.ts'
import * as compaction from './index/compaction.ts'
import * as copies from './index/copies.ts'
import * as objects from './index/objects.ts'
import { ARCHIVE_SCHEMA } from './index/schema.ts'
import type { LineType } from './line.ts'
import { RETENTION_CLASSES } from './retention.ts'

export type { CopiesFound, CopiesQuery } from './index/copies.ts'
export type { ArchiveFound, ArchivePosition, ArchiveQuery } from './index/objects.ts'

const DAY_MS = 24 * 60 * 60_000
/** Lines whose ids are kept, the newest: 4 GB of the 10 GB that a Durable Object may have. */
const MAX_KEPT_IDS = 500_000_000

/** What is to be done next. `token` is the lease: it goes with every call of the step. */
export interface Work {
  token: string
  /** Objects to be deleted from R2. */
  garbage: string[]
  /** Objects to be made one. */
  sources: IndexedRow[]
}

export class Archive extends DurableObject<Env> {
  readonly #sql: SqlStorage

  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env)
    this.#sql = ctx.storage.sql
    applySchema(ctx.storage, ARCHIVE_SCHEMA)
  }

  /**
   * Takes rows up, all or none. An object that is known already keeps its sequence. Returns who follows the archive and
   * is to be woken.
   */
  async add(rows: readonly ArchiveRow[]): Promise<followers.Follower[]> {
    objects.addObjects(this.#sql, rows, Date.now())
    if ((await this.ctx.storage.getAlarm()) === null) await this.ctx.storage.setAlarm(Date.now() + DAY_MS)
    return followers.followersOf(this.#sql)
  }

  /** Begins to follow (archive-followers.ts); returns the sequence that the follower has passed. */
  follow(follower: followers.Follower, fromSequence: number | null): number {
    return followers.follow(this.#sql, follower, fromSequence)
  }

  unfollow(follower: followers.Follower): void {
    followers.unfollow(this.#sql, follower)
  }

  /** The raw objects that a follower has yet to read, oldest first; notes that it has passed `afterSequence`. */
  nextFor(
    follower: followers.Follower,
    afterSequence: number,
    types: readonly LineType[] | null,
    limit: number,
  ): followers.NextRows {
    return followers.nextFor(this.#sql, follower, afterSequence, types, limit)
  }

  /** How much a follower has yet to read. */
  lagAfter(afterSequence: number, types: readonly LineType[] | null): followers.FollowerLag {
    return followers.lagAfter(this.#sql, afterSequence, types)
  }

  /** Objects that may hold what is asked for, newest first. Looks at a bounded number of rows. */
  find(query: objects.ArchiveQuery): objects.ArchiveFound {
    return objects.findObjects(this.#sql, query)
  }

  /** One object by its sequence; null where there is none. */
  object(sequence: number): IndexedRow | null {
    return objects.objectAt(this.#sql, sequence)
  }

  /** Which lines, given by the prefixes of their event ids, have copies in newer objects. */
  findCopies(prefixes: Bytes, query: copies.CopiesQuery): copies.CopiesFound {
    return copies.findCopies(this.#sql, prefixes, query)
  }

  /** Forgets the ids of all lines but the newest, so that the index never outgrows its object. */
  forgetIds(keptLines: number): void {
    copies.forgetIds(this.#sql, keptLines)
  }

  /** Forgets objects by key. */
  remove(keys: readonly string[]): void {
    objects.forgetKeys(this.#sql, keys)
  }

  /** What to do next, and the lease for it; null where there is nothing to do or somebody is at it. */
  nextWork(nowMs: number): Work | null {
    return this.ctx.storage.transactionSync(() => {
      const token = compaction.takeLease(this.#sql, nowMs)
      if (token === null) return null
      compaction.retire(this.#sql, nowMs)
      const garbage = compaction.dueGarbage(this.#sql, nowMs)
      const sources = garbage.length > 0 ? [] : compaction.nextSources(this.#sql, nowMs)
      if (garbage.length > 0 || sources.length > 0) return { token, garbage, sources }
      compaction.endLease(this.#sql, token, null, nowMs)
      return null
    })
  }

  /** Ends a step. A failure (no data in it: operators see it) is remembered. */
  endWork(token: string, failure: string | null): void {
    compaction.endLease(this.#sql, token, failure, Date.now())
  }

  /** Says which object a step is going to write. False where the step has lost its lease. */
  reserve(token: string, key: string): boolean {
    if (!compaction.holdsLease(this.#sql, token)) return false
    compaction.reserveKey(this.#sql, key, Date.now())
    return true
  }

  /** Objects outside of a step's sources that may hold the same lines. */
  findShared(prefixes: Bytes, query: copies.SharedQuery): copies.SharedIds[] {
    return copies.findShared(this.#sql, prefixes, query)
  }

  /** Puts what a step made in the place of its sources, in one transaction. False where the step came too late. */
  swap(token: string, swap: compaction.Swap): boolean {
    return this.ctx.storage.transactionSync(
      () => compaction.holdsLease(this.#sql, token) && compaction.swapObjects(this.#sql, swap, Date.now()),
    )
  }

  /** Objects that somebody did not find or could not read. False where the index does not know them any more. */
  markMissing(sequences: readonly number[]): boolean {
    return compaction.markMissing(this.#sql, sequences, Date.now())
  }

  /** These objects are deleted. */
  forgetGarbage(keys: readonly string[]): void {
    compaction.forgetGarbage(this.#sql, keys)
  }

  health(): compaction.CompactionHealth {
    return compaction.compactionHealth(this.#sql)
  }

  /** Once a day: rows go with the objects that R2's lifecycle rule has deleted. */
  override async alarm(): Promise<void> {
    await this.ctx.storage.setAlarm(Date.now() + DAY_MS)
    for (const days of RETENTION_CLASSES) {
      // The rules work to the day: a row outlives its object by no more than one.
      objects.forgetOlder(this.#sql, `logs/r${days}/*`, Date.now() - (days + 1) * DAY_MS)
    }
    this.forgetIds(MAX_KEPT_IDS)
  }
}
