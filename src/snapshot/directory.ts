/**
 * The Directory object: one for the deployment. It holds what turns an enroll secret or a URL segment into an
 * environment, compiled from D1 and copied to R2 like every snapshot, and counts what became of enrolls.
 */

import { DurableObject } from 'cloudflare:workers'
import { readDirectoryRows } from '../db/directory-rows.ts'
import { writeSecretTotals } from '../db/enroll-totals.ts'
import { applySchema } from '../lib/object-schema.ts'
import { msSince } from '../lib/time.ts'
import {
  ATTEMPTS_KEPT_MINUTES,
  ENROLL_COUNTS_SCHEMA,
  EnrollCounts,
  type EnrollAttempts,
  type EnrollCount,
} from './enroll-counts.ts'
import { HEAD_FORMAT, type Directory as DirectorySnapshot } from './head.ts'
import { DIRECTORY_KEY } from './keys.ts'

const SCHEMA = [
  'CREATE TABLE directory (id INTEGER PRIMARY KEY CHECK (id = 1), json TEXT NOT NULL)',
  ENROLL_COUNTS_SCHEMA,
]
/** How often it looks into D1 for what a lost message missed. */
const RECONCILE_EVERY_MS = 5 * 60_000
/** D1 is told totals of enrolls at most once in this time, and soon where it was told long ago. */
const TELL_TOTALS_EVERY_MS = 60_000
const TELL_TOTALS_AFTER_MS = 1_000
/** Secrets of one statement: 200 KB of JSON, where D1 takes 2 MB. */
const TOTALS_AT_ONCE = 1_000
/** Rows of one answer. */
const MAX_ATTEMPTS = 20_000

export class Directory extends DurableObject<Env> {
  readonly #counts: EnrollCounts
  #toldAtMs = Number.NEGATIVE_INFINITY

  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env)
    applySchema(ctx.storage, SCHEMA)
    this.#counts = new EnrollCounts(ctx.storage.sql)
  }

  /** The present directory; compiled now where there is none yet. */
  async read(): Promise<DirectorySnapshot> {
    return this.#installed() ?? (await this.refresh(1))
  }

  /** Makes at least this revision live. Throws when D1 does not answer; nothing is changed then. */
  async refresh(revision: number): Promise<DirectorySnapshot> {
    const before = this.#installed()
    if (before !== null && before.revision >= revision && !isOfBeforeRules(before)) return before
    const rows = await readDirectoryRows(this.env.DB)
    const present = this.#installed()
    if (present !== null && !mayReplace(present, rows.revision)) return present
    const directory: DirectorySnapshot = { format: HEAD_FORMAT, ...rows }
    const json = JSON.stringify(directory)
    this.ctx.storage.sql.exec('INSERT OR REPLACE INTO directory (id, json) VALUES (1, ?)', json)
    await this.#wakeWithin(RECONCILE_EVERY_MS)
    this.ctx.waitUntil(this.#copy(json))
    return directory
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
    await this.#tellTotals()
    const directory = await this.refresh((this.#installed()?.revision ?? 0) + 1)
    await this.#copy(JSON.stringify(directory))
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

  #installed(): DirectorySnapshot | null {
    const [row] = this.ctx.storage.sql.exec<{ json: string }>('SELECT json FROM directory').toArray()
    return row === undefined ? null : (JSON.parse(row.json) as DirectorySnapshot)
  }

  async #copy(json: string): Promise<void> {
    try {
      await this.env.ARCHIVE.put(DIRECTORY_KEY, json)
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
