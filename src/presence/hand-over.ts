/** Tells D1 what rode along: at most one batch a minute for each Presence object, whatever the fleet does. */

import { tellAgentFacts } from '../db/agent-facts.ts'
import { Deadline } from '../lib/deadline.ts'
import type { AgentStore } from './agent-store.ts'

export const HAND_OVER_SCHEMA = `CREATE TABLE hand_over (id INTEGER PRIMARY KEY, at_ms INTEGER NOT NULL);`
/** From one batch to the next. */
const EVERY_MS = 60_000
/** The first news of a quiet object wait so long for others. */
const GATHER_MS = 1_000
const D1_WITHIN_MS = 20_000

export class HandOver {
  readonly #ctx: DurableObjectState
  readonly #db: D1Database
  readonly #store: AgentStore
  /** Null: not known, or there is none. */
  #alarmAtMs: number | null = null

  constructor(ctx: DurableObjectState, db: D1Database, store: AgentStore) {
    this.#ctx = ctx
    this.#db = db
    this.#store = store
  }

  /** Makes sure that an alarm comes when D1 is to be told next. */
  async plan(): Promise<void> {
    const dueS = this.#store.nextDueS()
    if (dueS === null) return
    const nowMs = Date.now()
    const atMs = Math.max(nowMs + GATHER_MS, Math.min(this.#lastMs(), nowMs) + EVERY_MS, dueS * 1_000)
    // An alarm that is set costs a row written.
    this.#alarmAtMs ??= await this.#ctx.storage.getAlarm()
    if (this.#alarmAtMs !== null && this.#alarmAtMs > nowMs && this.#alarmAtMs <= atMs) return
    this.#alarmAtMs = atMs
    await this.#ctx.storage.setAlarm(atMs)
  }

  /** The alarm. Where D1 does not take it, it is told the same a minute later. */
  async run(): Promise<void> {
    this.#alarmAtMs = null
    const nowMs = Date.now()
    const told = this.#store.due(Math.floor(nowMs / 1_000))
    if (told.length > 0) {
      this.#ctx.storage.sql.exec('INSERT OR REPLACE INTO hand_over (id, at_ms) VALUES (1, ?)', nowMs)
      try {
        const [environmentId = ''] = (this.#ctx.id.name ?? '').split('/')
        await new Deadline(D1_WITHIN_MS).run(tellAgentFacts(this.#db, environmentId, told, nowMs))
        this.#store.told(told)
      } catch (error) {
        console.warn(
          JSON.stringify({ event: 'agent-facts-not-told', nodes: told.length, error: String(error) }),
        )
      }
    }
    await this.plan()
  }

  #lastMs(): number {
    const [row] = this.#ctx.storage.sql.exec<{ at_ms: number }>('SELECT at_ms FROM hand_over').toArray()
    return row?.at_ms ?? Number.NEGATIVE_INFINITY
  }
}
