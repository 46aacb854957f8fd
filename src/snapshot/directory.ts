/**
 * The Directory object: one for the deployment. It holds what turns an enroll secret or a URL segment into an
 * environment, compiled from D1 and copied to R2 like every snapshot, and counts what became of enrolls.
 */

import { DurableObject } from 'cloudflare:workers'
import { readDirectoryRows } from '../db/directory-rows.ts'
import { insertLateAudit, readOperators, type AuditNote } from '../db/late-audit.ts'
import { writeSecretTotals } from '../db/enroll-totals.ts'
import type { Brownout, BrownoutState } from '../fleet/brownout.ts'
import { Deadline } from '../lib/deadline.ts'
import { runDuties } from '../lib/duties.ts'
import { applySchema } from '../lib/object-schema.ts'
import { msSince } from '../lib/time.ts'
import { BROWNOUT_SCHEMA, BrownoutStore } from './brownout-store.ts'
import { DIRECTORY_PIECES_SCHEMA, DIRECTORY_SCHEMA, DirectoryStore } from './directory-store.ts'
import {
  ATTEMPTS_KEPT_MINUTES,
  ENROLL_COUNTS_SCHEMA,
  EnrollCounts,
  type EnrollAttempts,
  type EnrollCount,
} from './enroll-counts.ts'
import { HEAD_FORMAT, type Directory as DirectorySnapshot } from './head.ts'
import { DIRECTORY_KEY } from './keys.ts'

const SCHEMA = [DIRECTORY_SCHEMA, ENROLL_COUNTS_SCHEMA, BROWNOUT_SCHEMA, DIRECTORY_PIECES_SCHEMA]
/** How often it looks into D1 for what a lost message missed. */
const RECONCILE_EVERY_MS = 5 * 60_000
/** D1 is told totals of enrolls at most once in this time, and soon where it was told long ago. */
const TELL_TOTALS_EVERY_MS = 60_000
const TELL_TOTALS_AFTER_MS = 1_000
/** Secrets of one statement: 200 KB of JSON, where D1 takes 2 MB. */
const TOTALS_AT_ONCE = 1_000
/** Rows of one answer. */
const MAX_ATTEMPTS = 20_000
/** How soon what failed is tried again. */
const TRY_AGAIN_AFTER_MS = 10_000
/** How long one audit row may take. */
const D1_WITHIN_MS = 10_000
/** What an alarm does of each kind: an alarm that hangs is the last one. */
const DUTY_WITHIN_MS = 30_000
/** Audit rows of one alarm. */
const AUDIT_AT_ONCE = 20

export class Directory extends DurableObject<Env> {
  readonly #store: DirectoryStore
  readonly #counts: EnrollCounts
  readonly #brownouts: BrownoutStore
  #toldAtMs = Number.NEGATIVE_INFINITY

  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env)
    applySchema(ctx.storage, SCHEMA)
    this.#store = new DirectoryStore(ctx.storage.sql)
    this.#counts = new EnrollCounts(ctx.storage.sql)
    this.#brownouts = new BrownoutStore(ctx.storage.sql)
  }

  /** The present directory; compiled now where there is none yet. */
  async read(): Promise<DirectorySnapshot> {
    return this.#present() ?? (await this.refresh(1))
  }

  /** Makes at least this revision live. Throws when D1 does not answer; nothing is changed then. */
  async refresh(revision: number): Promise<DirectorySnapshot> {
    const before = this.#store.installed()
    if (before !== null && before.revision >= revision && !isOfBeforeRules(before))
      return this.#marked(before)
    const [rows, operators] = await Promise.all([readDirectoryRows(this.env.DB), readOperators(this.env.DB)])
    const present = this.#store.installed()
    if (rows.revision >= (present?.revision ?? 0)) this.#brownouts.replaceOperators(operators)
    if (present !== null && !mayReplace(present, rows.revision)) return this.#marked(present)
    const directory: DirectorySnapshot = { format: HEAD_FORMAT, ...rows }
    this.#store.install(directory)
    await this.#wakeWithin(RECONCILE_EVERY_MS)
    this.ctx.waitUntil(this.#copy())
    return this.#marked(directory)
  }

  /** The name of the operator token of this hash, as far as D1 was asked last; null: none. For when D1 is away. */
  operatorOf(tokenHash: string): string | null {
    return this.#brownouts.operatorOf(tokenHash)
  }

  /** What holds for an environment, or of the deployment alone (null). */
  brownout(environmentId: string | null): BrownoutState {
    return this.#brownouts.state(environmentId)
  }

  /** Turns the switch of an environment, or of the deployment (null). Needs no D1: its audit row follows when it is there. */
  async setBrownout(environmentId: string | null, brownout: Brownout, note: AuditNote): Promise<void> {
    this.#brownouts.set(environmentId, brownout, note)
    await this.#wakeWithin(TRY_AGAIN_AFTER_MS)
    this.ctx.waitUntil(Promise.all([this.#copy(), this.#tellAudit()]))
  }

  /** Takes one isolate's counts of enrolls; D1 has the totals within a minute. */
  async noteEnrolls(counts: readonly EnrollCount[]): Promise<void> {
    this.#counts.add(counts)
    const againInMs = TELL_TOTALS_EVERY_MS - msSince(this.#toldAtMs, Date.now())
    await this.#wakeWithin(Math.max(TELL_TOTALS_AFTER_MS, againInMs))
  }

  /** What became of the enrolls of an environment (''; of none that is known), by minute, newest first. */
  enrollAttempts(environmentId: string, sinceMinute: number): EnrollAttempts[] {
    return this.#counts.attempts(environmentId, sinceMinute, MAX_ATTEMPTS)
  }

  override async alarm(): Promise<void> {
    await this.ctx.storage.setAlarm(Date.now() + RECONCILE_EVERY_MS)
    this.#counts.forgetBefore(Math.floor(Date.now() / 60_000) - ATTEMPTS_KEPT_MINUTES)
    const duties = [
      () => this.refresh((this.#store.installed()?.revision ?? 0) + 1),
      () => this.#copy(),
      () => this.#tellAudit(),
      () => this.#tellTotals(),
    ]
    if (!(await runDuties('directory-alarm', duties, DUTY_WITHIN_MS)))
      await this.#wakeWithin(TRY_AGAIN_AFTER_MS)
  }

  /** Audit rows that D1 has not got yet; one after the other, so that they are in their order. */
  async #tellAudit(): Promise<void> {
    try {
      for (const late of this.#brownouts.lateAudit(AUDIT_AT_ONCE)) {
        const id = this.#brownouts.nextTry(late, Date.now())
        await new Deadline(D1_WITHIN_MS).run(insertLateAudit(this.env.DB, id, late.note, late.tried))
        this.#brownouts.forgetLateAudit(late.id)
      }
    } catch (error) {
      console.warn(JSON.stringify({ event: 'audit-later', error: String(error) }))
    }
    if (this.#brownouts.lateAudit(1).length > 0) await this.#wakeWithin(TRY_AGAIN_AFTER_MS)
  }

  async #tellTotals(): Promise<void> {
    const totals = this.#counts.newTotals(TOTALS_AT_ONCE)
    if (totals.length === 0) return
    this.#toldAtMs = Date.now()
    await writeSecretTotals(this.env.DB, totals)
    this.#counts.markTold(totals)
    if (totals.length === TOTALS_AT_ONCE) await this.#wakeWithin(TELL_TOTALS_EVERY_MS)
  }

  /** Wakes up after this time, or when it was to wake up anyway: whichever is first. */
  async #wakeWithin(ms: number): Promise<void> {
    const nowMs = Date.now()
    const armed = await this.ctx.storage.getAlarm()
    if (armed === null || armed > nowMs + ms || armed < nowMs) await this.ctx.storage.setAlarm(nowMs + ms)
  }

  #marked(directory: DirectorySnapshot): DirectorySnapshot {
    return this.#brownouts.marked(directory, Date.now())
  }

  #present(): DirectorySnapshot | null {
    const installed = this.#store.installed()
    return installed === null ? null : this.#marked(installed)
  }

  async #copy(): Promise<void> {
    try {
      await this.env.ARCHIVE.put(DIRECTORY_KEY, JSON.stringify(this.#present()))
    } catch (error) {
      // The next alarm copies again; until then the object itself answers.
      console.error(JSON.stringify({ event: 'directory-copy-failed', error: String(error) }))
    }
  }
}

function mayReplace(present: DirectorySnapshot, revision: number): boolean {
  return isOfBeforeRules(present) ? revision >= present.revision : revision > present.revision
}

/** Stored by a Worker that knew no rules of secrets: the same revision has more to say now. */
function isOfBeforeRules({ secrets }: DirectorySnapshot): boolean {
  return secrets.some(({ id }) => id === undefined)
}
