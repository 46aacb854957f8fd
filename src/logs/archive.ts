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
import { erasuresAfter, type ErasedLines } from './index/erased.ts'
import * as erasures from './index/erasures.ts'
import * as inspection from './index/inspection.ts'
import * as objects from './index/objects.ts'
import { ARCHIVE_SCHEMA } from './index/schema.ts'
import * as tallies from './index/tallies.ts'
import * as talliesRead from './index/tallies-read.ts'
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
  /** Lines to be taken out; null: none. */
  erasure: erasures.ErasureWork | null
  /** Objects to be made one. */
  sources: IndexedRow[]
  /** What is left out of them. */
  erased: ErasedLines[]
  /** A piece of the inspection; null: none. */
  inspection: inspection.InspectionWork | null
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

  /** The raw objects that a follower has yet to read, oldest first. */
  nextFor(follower: followers.Follower, query: followers.NextQuery): followers.NextRows {
    return followers.nextFor(this.#sql, follower, query)
  }

  /** Whether what a reader began to read at a sequence has changed under it. */
  wasReplacedSince(range: { maxSequence: number; sinceMs: number; untilMs: number }): boolean {
    return followers.wasReplacedSince(this.#sql, range)
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
      const work: Work = { token, garbage: [], erasure: null, sources: [], erased: [], inspection: null }
      work.garbage = compaction.dueGarbage(this.#sql, nowMs)
      if (work.garbage.length > 0) return work
      work.erasure = erasures.nextErasure(this.#sql, nowMs, (erased) =>
        tallies.forgetTallies(this.#sql, erased),
      )
      if (work.erasure !== null) return work
      work.sources = compaction.nextSources(this.#sql, nowMs)
      if (work.sources.length > 0) {
        const firstMs = Math.min(...work.sources.map((row) => row.firstMs))
        return { ...work, erased: erasuresAfter(this.#sql, firstMs) }
      }
      work.inspection = inspection.nextInspection(this.#sql, nowMs)
      if (work.inspection !== null) return work
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

  /**
   * Puts what a step made in the place of its sources, with what was counted on the way, in one transaction. False where
   * the step came too late.
   */
  swap(token: string, swap: compaction.Swap, counted: tallies.Tallies | null): boolean {
    return this.ctx.storage.transactionSync(() => {
      if (!compaction.holdsLease(this.#sql, token)) return false
      if (!compaction.swapObjects(this.#sql, swap, Date.now())) return false
      if (counted !== null) tallies.addTallies(this.#sql, counted)
      return true
    })
  }

  /** Objects that somebody did not find or could not read. False where the index does not know them any more. */
  markMissing(rows: readonly Pick<IndexedRow, 'sequence' | 'key'>[]): boolean {
    return compaction.markMissing(this.#sql, rows, Date.now())
  }

  /** These objects are deleted. */
  forgetGarbage(keys: readonly string[]): void {
    compaction.forgetGarbage(this.#sql, keys)
  }

  /** Begins to erase what was received until a time; the same id again is the same erasure. */
  erase(id: string, erased: ErasedLines): erasures.Receipt | null {
    erasures.beginErasure(this.#sql, id, erased)
    return erasures.receiptOf(this.#sql, id)
  }

  receipt(id: string): erasures.Receipt | null {
    return erasures.receiptOf(this.#sql, id)
  }

  receipts(beforeId: string | null, limit: number): erasures.Receipt[] {
    return erasures.listReceipts(this.#sql, beforeId, limit)
  }

  /** How far an erasure has gone through what was set aside. */
  noteSetAside(token: string, id: string, deleted: number, cursor: string | null): void {
    if (compaction.holdsLease(this.#sql, token)) erasures.noteSetAside(this.#sql, id, deleted, cursor)
  }

  /** What became of objects up to a sequence, in one transaction. */
  noteErased(token: string, id: string, erased: readonly erasures.ErasedObject[], through: number): void {
    this.ctx.storage.transactionSync(() => {
      if (!compaction.holdsLease(this.#sql, token)) return
      erasures.noteErased(this.#sql, id, erased, through, Date.now())
    })
  }

  /** Volumes of a day and type, by name over all nodes. */
  volumeSums(fromDay: string, throughDay: string): talliesRead.VolumePart[] {
    return talliesRead.volumeSums(this.#sql, fromDay, throughDay)
  }

  /** Volumes by node and name: some parts of a day, so that no answer gets too long. */
  volumeParts(day: string, fromPart: number, limit: number): talliesRead.VolumePart[] {
    return talliesRead.volumeParts(this.#sql, day, fromPart, limit)
  }

  /** Everything received before this time is in the volumes; null: everything. */
  countedThrough(): number | null {
    return talliesRead.countedThrough(this.#sql)
  }

  findings(query: talliesRead.FindingsQuery): talliesRead.FindingRow[] {
    return talliesRead.findFindings(this.#sql, query)
  }

  /** How far each query is on a node. */
  progressOf(nodeId: string): talliesRead.NamedProgress[] {
    return talliesRead.progressOf(this.#sql, nodeId)
  }

  /** Where the newest snapshots of a query are: nodes in order, after one. */
  latestPlaces(name: string, afterNode: string, limit: number): talliesRead.NodePlace[] {
    return talliesRead.latestPlaces(this.#sql, name, afterNode, limit)
  }

  /** The objects and ranges that hold a query's snapshots of nodes at times. */
  findAt(name: string, places: readonly talliesRead.NodePlace[]): IndexedRow[] {
    return talliesRead.findAt(this.#sql, name, places)
  }

  /** Begins an inspection now, unless one is under way. */
  inspect(): void {
    inspection.beginInspection(this.#sql, Date.now())
  }

  /** What of a listing the index does not know, and what it knows that is not listed. */
  compareKeys(listing: inspection.Listing, nowMs: number): inspection.Compared {
    return inspection.compareKeys(this.#sql, listing, nowMs)
  }

  noteInspected(
    token: string,
    found: inspection.InspectedCounts,
    next: inspection.InspectionWork | null,
  ): void {
    if (!compaction.holdsLease(this.#sql, token)) return
    inspection.noteInspected(this.#sql, found, next, Date.now())
  }

  health(): { compaction: compaction.CompactionHealth; inspection: inspection.Inspection } {
    return {
      compaction: compaction.compactionHealth(this.#sql),
      inspection: inspection.lastInspection(this.#sql),
    }
  }

  /** Once a day: rows go with the objects that R2's lifecycle rule has deleted. */
  override async alarm(): Promise<void> {
    await this.ctx.storage.setAlarm(Date.now() + DAY_MS)
    for (const days of RETENTION_CLASSES) {
      // The rules work to the day: a row outlives its object by no more than one.
      objects.forgetOlder(this.#sql, `logs/r${days}/*`, Date.now() - (days + 1) * DAY_MS)
    }
    this.forgetIds(MAX_KEPT_IDS)
    tallies.forgetVolumes(this.#sql, Date.now() - (Math.max(...RETENTION_CLASSES) + 1) * DAY_MS)
  }
}
