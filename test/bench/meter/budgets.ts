/** What one request may cost in binding calls (design 5), counted one request after the other on a warm isolate. */

import type { BenchNode } from '../nodes.ts'
import { openQueries } from '../queries.ts'
import { goal, type Goal } from '../report.ts'
import { tallied, type MeterAgents } from './agents.ts'
import type { Tally } from './tally.ts'

interface Budget {
  d1: number
  objects: number
  sends: number
  puts: number
}

export interface Spent extends Budget {
  route: string
  requests: number
  budget: Budget
}

const NOTHING: Budget = { d1: 0, objects: 0, sends: 0, puts: 0 }
const CARVE_BYTES = 6 * 1_024 * 1_024
const CARVE_BLOCK_BYTES = 256 * 1_024

/** The worst average of each route. Idle polls are counted while no query is open. */
export async function countBudgets(agents: MeterAgents, nodes: readonly BenchNode[]): Promise<Spent[]> {
  const [node] = nodes
  if (node === undefined) throw new Error('there are nodes')
  const some = nodes.slice(0, 20)
  const each = async (send: (node: BenchNode) => Promise<unknown>) => {
    for (const one of some) await send(one)
    return some.length
  }
  const spent: Spent[] = []
  const counted = async (
    route: string,
    scope: string,
    budget: Partial<Budget>,
    run: () => Promise<number>,
  ): Promise<void> => {
    await agents.take()
    const requests = await run()
    const { tally } = await agents.take()
    spent.push({ route, requests, budget: { ...NOTHING, ...budget }, ...perRequest(tally, scope, requests) })
  }
  await agents.config(node)
  await agents.read(node)
  await counted('config', 'request config', {}, () => each((one) => agents.config(one)))
  await counted('idle distributed read', 'request distributed/read', {}, () =>
    each((one) => agents.read(one)),
  )
  for (const port of ['queue', 'inbox'] as const) {
    await counted(`log POST, ${port}`, 'request log', { sends: 1, puts: port === 'queue' ? 0 : 1 }, () =>
      each((one) => agents.log(one, 3_500, { port })),
    )
  }
  await counted('enroll', 'request enroll', { d1: 1 }, () =>
    each((one) => agents.enroll(`new-${one.ordinal}`)),
  )
  await counted('carve block', 'request carve/block', { objects: 2, puts: 1 }, () =>
    agents.carve(node, CARVE_BYTES, CARVE_BLOCK_BYTES),
  )
  await countQueries(agents, some, counted)
  return spent
}

async function countQueries(
  agents: MeterAgents,
  nodes: readonly BenchNode[],
  counted: (
    route: string,
    scope: string,
    budget: Partial<Budget>,
    run: () => Promise<number>,
  ) => Promise<void>,
): Promise<void> {
  await openQueries(
    agents.server,
    nodes.map(({ ordinal }) => ordinal),
    5,
    20_000,
  )
  // An isolate whose head is younger than the queries.
  const options = { isolate: 300_000 }
  const offered = new Map<BenchNode, string[]>()
  const read = { objects: 1, sends: 1 }
  await counted('distributed read with work', 'request distributed/read', read, async () => {
    for (const node of nodes) offered.set(node, await agents.read(node, options))
    return nodes.length
  })
  await counted('distributed write', 'request distributed/write', { objects: 1, sends: 1 }, async () => {
    for (const [node, ids] of offered) await agents.write(node, ids, options)
    return offered.size
  })
}

function perRequest(tally: Tally, scope: string, requests: number): Budget {
  const each = (metric: string) => tallied(tally, scope, metric) / requests
  return {
    d1: each('d1.statements'),
    objects: each('do '),
    sends: each('queue.sends'),
    puts: each('r2.puts'),
  }
}

/** One goal for each budget that is not "any". */
export function budgetGoals(spent: readonly Spent[]): Goal[] {
  const units = { d1: 'D1 statements', objects: 'object calls', sends: 'queue sends', puts: 'R2 puts' }
  return spent.flatMap((row) =>
    (['d1', 'objects', 'sends', 'puts'] as const).map((key) =>
      goal(`${row.route}: ${units[key]}`, row[key], 'a request', '<=', row.budget[key], true),
    ),
  )
}
