/**
 * The Costs object: what scheduled queries cost, for 16,384 nodes of one environment. A row for each node with its last
 * counters; a row for each day with the sums of 256 versions of queries. One report writes these two rows.
 */

import { DurableObject } from 'cloudflare:workers'
import { applySchema } from '../lib/object-schema.ts'
import { BATCH_FORMAT, DAY_S, FORGET_NODE_AFTER_S, KEPT_DAYS } from './constants.ts'
import { DaySums } from './day-sums.ts'
import type {
  BatchOutcome,
  CostBatch,
  DeniedNode,
  MemberFacts,
  MemberRequest,
  NodeCosts,
  Summaries,
  SummaryRequest,
} from './kinds.ts'
import { deniedNodesOf, memberFactsOf, nodeCostsOf, type FactsRow } from './member-facts.ts'
import { nodeOfRow, rowOfNode } from './node-row.ts'
import {
  emptyNode,
  gaugesOfLeaving,
  takeError,
  takeKilled,
  takeReport,
  type GaugeChange,
  type NodeState,
} from './node-state.ts'
import { QueryIndex } from './query-index.ts'
import { summariesOf } from './summaries.ts'
import { addDelta } from './tally.ts'

const SCHEMA = [
  `CREATE TABLE queries (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL, hash TEXT NOT NULL,
     interval_s INTEGER NOT NULL, nodes INTEGER NOT NULL, denied INTEGER NOT NULL, seen_s INTEGER NOT NULL,
     UNIQUE (name, hash));
   CREATE TABLE nodes (ordinal INTEGER PRIMARY KEY, at_s INTEGER NOT NULL, received_s INTEGER NOT NULL,
     facts BLOB NOT NULL, counters BLOB NOT NULL);
   CREATE TABLE days (day INTEGER NOT NULL, chunk INTEGER NOT NULL, tallies BLOB NOT NULL,
     PRIMARY KEY (day, chunk)) WITHOUT ROWID;`,
]
/** Nodes that one alarm forgets. */
const FORGET_AT_ONCE = 500
const SWEEP_EVERY_MS = DAY_S * 1_000
const SWEEP_ON_MS = 1_000

type NodeRecord = Record<string, SqlStorageValue> & {
  ordinal: number
  at_s: number
  facts: ArrayBuffer
  counters: ArrayBuffer
}

export class Costs extends DurableObject<Env> {
  #queries: QueryIndex | undefined
  #hasAlarm = false

  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env)
    applySchema(ctx.storage, SCHEMA)
  }

  /** Takes one batch of the consumer. The same batch again changes nothing. */
  async take(batch: CostBatch): Promise<BatchOutcome> {
    if (batch.format !== BATCH_FORMAT) throw new Error('a batch of a format that is not known here')
    if (!this.#hasAlarm && (await this.ctx.storage.getAlarm()) === null)
      await this.ctx.storage.setAlarm(Date.now() + SWEEP_EVERY_MS)
    this.#hasAlarm = true
    this.#atOnce(() => this.#take(batch))
    return { sawDenied: tellsOfDenied(batch) }
  }

  /** Sums of versions over some days, a page of names at a time. */
  summaries(request: SummaryRequest): Summaries {
    const nodes = this.ctx.storage.sql.exec<{ nodes: number }>('SELECT COUNT(*) AS nodes FROM nodes').one()
    return { versions: summariesOf(this.ctx.storage.sql, this.#index(), request), nodes: nodes.nodes }
  }

  /** What one node told last. */
  node(ordinal: number): NodeCosts {
    return nodeCostsOf(this.#state(new Map(), ordinal), this.#index())
  }

  /** What members of a set did in a time, a slice of nodes at a time. */
  memberFacts(request: MemberRequest): MemberFacts {
    return memberFactsOf(this.#factsAfter(request.after, request.limit), request, this.#index())
  }

  /** Nodes that have a query on their denylist, a slice of nodes at a time. */
  deniedNodes(name: string, after: number, limit: number): { denied: DeniedNode[]; next: number | null } {
    return deniedNodesOf(this.#factsAfter(after, limit), name, limit, this.#index())
  }

  override async alarm(): Promise<void> {
    // First: an alarm that fails six times is not tried again, and nobody would ask for another one.
    await this.ctx.storage.setAlarm(Date.now() + SWEEP_EVERY_MS)
    const nowS = Math.floor(Date.now() / 1_000)
    const isMore = this.#atOnce(() => this.#forget(nowS))
    if (isMore) await this.ctx.storage.setAlarm(Date.now() + SWEEP_ON_MS)
  }

  /** All of it or nothing, in the table and in what is kept of it in memory. */
  #atOnce<T>(change: () => T): T {
    try {
      return this.ctx.storage.transactionSync(change)
    } catch (error) {
      this.#queries = undefined
      throw error
    }
  }

  #take({ queries, reports, troubles }: CostBatch): void {
    const nowS = Math.floor(Date.now() / 1_000)
    const index = this.#index()
    const ids = queries.map((query) => index.idOf(query, nowS))
    const day = new DaySums(this.ctx.storage.sql, Math.floor(nowS / DAY_S))
    const states = new Map<number, NodeState>()
    const gauges: GaugeChange[] = []
    for (const report of [...reports].sort(byTime)) {
      const known = report.queries.flatMap(({ query, ...values }) => {
        const id = ids[query] ?? null
        return id === null ? [] : [{ ...values, id, intervalS: queries[query]?.intervalS ?? 0 }]
      })
      const taken = takeReport(this.#state(states, report.ordinal), { ...report, queries: known })
      gauges.push(...taken.gauges)
      for (const delta of taken.deltas) addDelta(day.tally(delta.id), report.ordinal, delta)
    }
    for (const { ordinal, query, kind, unixTimeS, receivedS } of [...troubles].sort(byTime)) {
      const id = ids[query] ?? null
      if (id === null) continue
      const state = this.#state(states, ordinal)
      if (kind === 'killed') {
        const versions = index.idsOfName(queries[query]?.name ?? '').filter((other) => other !== id)
        gauges.push(...takeKilled(state, versions, id, unixTimeS, receivedS))
      } else if (takeError(state, id, unixTimeS, receivedS)) day.tally(id).errors += 1
    }
    for (const [ordinal, state] of states) this.#write(ordinal, state, nowS)
    day.write()
    index.change(gauges)
  }

  #state(states: Map<number, NodeState>, ordinal: number): NodeState {
    const known = states.get(ordinal)
    if (known !== undefined) return known
    const [row] = this.ctx.storage.sql
      .exec<NodeRecord>('SELECT ordinal, at_s, facts, counters FROM nodes WHERE ordinal = ?', ordinal)
      .toArray()
    const state = row === undefined ? emptyNode() : stateOf(row)
    states.set(ordinal, state)
    return state
  }

  #write(ordinal: number, state: NodeState, nowS: number): void {
    const { atS, facts, counters } = rowOfNode(state)
    this.ctx.storage.sql.exec(
      'INSERT OR REPLACE INTO nodes (ordinal, at_s, received_s, facts, counters) VALUES (?, ?, ?, ?, ?)',
      ordinal,
      atS,
      nowS,
      facts,
      counters,
    )
  }

  #factsAfter(after: number, limit: number): FactsRow[] {
    return this.ctx.storage.sql
      .exec<FactsRow>(
        'SELECT ordinal, facts FROM nodes WHERE ordinal > ? ORDER BY ordinal LIMIT ?',
        after,
        limit,
      )
      .toArray()
  }

  /** Whether there is more to forget. */
  #forget(nowS: number): boolean {
    const { sql } = this.ctx.storage
    const old = sql
      .exec<NodeRecord>(
        'SELECT ordinal, at_s, facts, counters FROM nodes WHERE received_s < ? LIMIT ?',
        nowS - FORGET_NODE_AFTER_S,
        FORGET_AT_ONCE,
      )
      .toArray()
    for (const { ordinal } of old) sql.exec('DELETE FROM nodes WHERE ordinal = ?', ordinal)
    const index = this.#index()
    index.change(old.flatMap((row) => gaugesOfLeaving(stateOf(row))))
    if (old.length === FORGET_AT_ONCE) return true
    sql.exec('DELETE FROM days WHERE day < ?', Math.floor(nowS / DAY_S) - KEPT_DAYS)
    index.forgetOld(nowS)
    return false
  }

  #index(): QueryIndex {
    this.#queries ??= new QueryIndex(this.ctx.storage.sql)
    return this.#queries
  }
}

function stateOf({ at_s: atS, facts, counters }: NodeRecord): NodeState {
  return nodeOfRow(atS, new Uint8Array(facts), new Uint8Array(counters))
}

function tellsOfDenied({ reports, troubles }: CostBatch): boolean {
  const isDenied = ({ queries }: CostBatch['reports'][number]) => queries.some(({ denylisted }) => denylisted)
  return reports.some(isDenied) || troubles.some(({ kind }) => kind === 'killed')
}

/** Lines of one batch may come in any order (spec 4.4). */
function byTime(
  a: { unixTimeS: number | null; receivedS: number },
  b: { unixTimeS: number | null; receivedS: number },
): number {
  return (a.unixTimeS ?? a.receivedS) - (b.unixTimeS ?? b.receivedS)
}
