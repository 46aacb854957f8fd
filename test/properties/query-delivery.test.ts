/**
 * Live queries to agents that crash, that send twice and that hear no reply: every query is answered once by each of
 * its targets, what was acknowledged stays, and what was answered is never offered again.
 */

import fc from 'fast-check'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { bytesOfBase64Url } from '../../src/lib/bytes.ts'
import { idsOf } from '../logs/support.ts'
import { startServer, type TestServer } from '../support/harness.ts'
import { allPages } from '../support/operator.ts'
import { openQuery, type OpenedQuery } from '../support/queries.ts'
import { checkServer, RUNS_FACTOR } from './check.ts'

const RUNS = 10 * RUNS_FACTOR
const NODES_PER_RUN = 2
/** Nodes for what fast-check tries to make a failure smaller. */
const SPARE_NODES = 20
const QUERIES = 5
const SHARDS = 4

interface TestNode {
  key: string
  nodeId: string
  ordinal: number
}

let server: TestServer
let queries: OpenedQuery[]
let unused: TestNode[]

beforeAll(async () => {
  server = await startServer()
  unused = await enrollMany(RUNS * NODES_PER_RUN + SPARE_NODES)
  const ordinals = unused.map(({ ordinal }) => ordinal)
  queries = []
  for (let q = 0; q < QUERIES; q += 1)
    queries.push(
      await openQuery(
        server,
        sqlOf(q),
        ordinals.filter((ordinal) => isTarget(ordinal, q)),
      ),
    )
  const probe = unused.shift()
  await server.until(async () => {
    const reply = await server.agent('/api/osquery/distributed/read', { node_key: probe?.key })
    return Object.keys(reply.json<{ queries?: object }>().queries ?? {}).length > 0
  })
})
afterAll(() => server.close())

async function enrollMany(count: number): Promise<TestNode[]> {
  const nodes: TestNode[] = []
  while (nodes.length < count) {
    const keys = await Promise.all(
      Array.from({ length: 10 }, (_, i) => server.enroll(`n${nodes.length + i}`)),
    )
    nodes.push(...keys.map((key) => ({ key, nodeId: idsOf(key).nodeId, ordinal: ordinalIn(key) })))
  }
  return nodes
}

/** The ordinal in a node key: after key id, environment and node. */
function ordinalIn(nodeKey: string): number {
  return Buffer.from(bytesOfBase64Url(nodeKey.slice('oen1-'.length)) ?? []).readUInt32BE(33)
}

function sqlOf(query: number): string {
  return `SELECT ${query} AS query`
}

/** Every node is a target of most queries, but not of all. */
function isTarget(ordinal: number, query: number): boolean {
  return (ordinal + query) % 4 !== 0
}

type Step =
  | { what: 'read'; node: number }
  /** Of what the agent works on it answers these, in one POST that is sent so many times at once. */
  | { what: 'answer'; node: number; which: number[]; copies: number; isHeard: boolean }
  /** Another node answers what this one was asked. */
  | { what: 'answer-for-other'; node: number }
  | { what: 'crash'; node: number }
  | { what: 'pass'; seconds: 5 | 31 }
  | { what: 'evict' }

const node = fc.nat({ max: NODES_PER_RUN - 1 })
const steps: fc.Arbitrary<Step[]> = fc.array(
  fc.oneof(
    { weight: 4, arbitrary: fc.record({ what: fc.constant('read' as const), node }) },
    {
      weight: 4,
      arbitrary: fc.record({
        what: fc.constant('answer' as const),
        node,
        which: fc.array(fc.nat({ max: 20 }), { minLength: 1, maxLength: 4 }),
        copies: fc.integer({ min: 1, max: 3 }),
        isHeard: fc.boolean(),
      }),
    },
    { weight: 1, arbitrary: fc.record({ what: fc.constant('answer-for-other' as const), node }) },
    { weight: 1, arbitrary: fc.record({ what: fc.constant('crash' as const), node }) },
    {
      weight: 2,
      arbitrary: fc.record({ what: fc.constant('pass' as const), seconds: fc.constantFrom(5, 31) }),
    },
    { weight: 1, arbitrary: fc.constant<Step>({ what: 'evict' }) },
  ),
  { maxLength: 16, size: 'max' },
)

/** How long ago a query was offered to an agent: just now, some seconds, or long enough to offer it again. */
type Offered = 'never' | 'just-now' | 'lately' | 'long-ago'

/** One agent, what it works on, and what the server must know of it. */
class Agent {
  readonly node: TestNode
  /** Ids by the number of the query, as the agent holds them. */
  readonly work = new Map<number, string>()
  /** The row of the first answer that the server took, by query. */
  readonly answered = new Map<number, string>()
  readonly offered = new Map<number, Offered>()
  #attempts = 0

  constructor(testNode: TestNode) {
    this.node = testNode
  }

  get targeting(): number[] {
    return Array.from({ length: QUERIES }, (_, q) => q).filter((q) => isTarget(this.node.ordinal, q))
  }

  /** Reads, and checks what is offered against what must and must not be. */
  async read(): Promise<void> {
    const reply = await server.agent('/api/osquery/distributed/read', { node_key: this.node.key })
    expect(reply.status).toBe(200)
    const { queries: given = {}, discovery = {} } =
      reply.json<Record<'queries' | 'discovery', Record<string, string> | undefined>>()
    for (const id of Object.keys(given)) expect(discovery[id]).toBeDefined()
    const ids = new Map(Object.entries(given).map(([id, sql]) => [this.#queryWith(sql), id]))
    expect(ids.size).toBe(Object.keys(given).length)
    for (const query of this.targeting) {
      const before = this.offered.get(query) ?? 'never'
      const isOffered = ids.has(query)
      if (this.answered.has(query) || before === 'lately') expect([query, isOffered]).toEqual([query, false])
      else if (before !== 'just-now') expect([query, isOffered]).toEqual([query, true])
    }
    for (const [query, id] of ids) {
      this.work.set(query, id)
      this.offered.set(query, 'just-now')
    }
  }

  #queryWith(sql: string): number {
    const query = this.targeting.find((q) => sqlOf(q) === sql)
    if (query === undefined) throw new Error(`${sql} is not for this node`)
    return query
  }

  async answer(which: readonly number[], copies: number, isHeard: boolean): Promise<void> {
    const held = [...this.work.keys()]
    const chosen = new Set(which.flatMap((at) => held[at % held.length] ?? []))
    if (chosen.size === 0) return
    this.#attempts += 1
    const rows = new Map(
      [...chosen].map((query) => [
        query,
        `{"by":"${this.node.nodeId}","query":"${query}","attempt":"${this.#attempts}"}`,
      ]),
    )
    const answers = [...rows].map(([query, row]) => `${JSON.stringify(this.work.get(query))}:[${row}]`)
    const body = `{"queries":{${answers.join(',')}},"node_key":"${this.node.key}"}`
    await Promise.all(Array.from({ length: copies }, () => write(body)))
    for (const [query, row] of rows) {
      if (!this.answered.has(query)) this.answered.set(query, row)
      if (isHeard) this.work.delete(query)
    }
  }

  pass(seconds: 5 | 31): void {
    for (const [query, before] of this.offered)
      this.offered.set(query, seconds === 31 || before === 'long-ago' ? 'long-ago' : 'lately')
  }
}

async function write(body: string): Promise<void> {
  const reply = await server.agent('/api/osquery/distributed/write', body)
  expect([reply.status, reply.text]).toEqual([200, '{}'])
}

function shardsOf(agents: readonly Agent[]): { name: string }[] {
  const { environmentId } = idsOf(agents[0]?.node.key ?? '')
  const shards = new Set(agents.map(({ node: { ordinal } }) => ordinal % SHARDS))
  return [...shards].map((shard) => ({ name: `${environmentId}/${SHARDS}/${shard}` }))
}

/** Lets time pass for the shards of these agents: their offers were made earlier. */
async function pass(agents: readonly Agent[], seconds: 5 | 31): Promise<void> {
  for (const shard of shardsOf(agents)) {
    const storage = await server.worker.getDurableObjectStorage('ANSWER_SHARD', shard)
    await storage.exec('UPDATE offers SET last_offered_at_ms = last_offered_at_ms - ?', seconds * 1_000)
  }
  for (const agent of agents) agent.pass(seconds)
}

async function take(agents: readonly [Agent, Agent], step: Step): Promise<void> {
  const agent = 'node' in step ? (agents[step.node] ?? agents[0]) : agents[0]
  switch (step.what) {
    case 'read':
      return agent.read()
    case 'answer':
      return agent.answer(step.which, step.copies, step.isHeard)
    case 'answer-for-other': {
      const other = agents.find((one) => one !== agent)
      const ids = [...(other?.work.values() ?? [])].map((id) => `"${id}":[{"by":"a stranger"}]`)
      return write(`{"queries":{${ids.join(',')}},"node_key":"${agent.node.key}"}`)
    }
    case 'crash':
      return agent.work.clear()
    case 'pass':
      return pass(agents, step.seconds)
    case 'evict':
      for (const shard of shardsOf(agents)) await server.evict('ANSWER_SHARD', shard)
  }
}

/** What operators see of these agents: for each query one answer of each target, with its first row. */
async function expectAnswers(agents: readonly Agent[]): Promise<void> {
  await Promise.all(queries.map(({ id }, query) => expectAnswersTo(agents, query, id)))
}

async function expectAnswersTo(agents: readonly Agent[], query: number, id: string): Promise<void> {
  const place = `/environments/default/queries/${id}`
  const [results, answers] = await Promise.all([
    allPages<{ nodeId: string; columns: object }>(server, `${place}/results`, 1_000),
    allPages<{ nodeId: string }>(server, `${place}/answers`, 1_000),
  ])
  for (const { node: asked, answered } of agents) {
    const { nodeId, ordinal } = asked
    const rows = results
      .filter((item) => item.nodeId === nodeId)
      .map(({ columns }) => JSON.stringify(columns))
    expect(rows).toEqual(isTarget(ordinal, query) ? [answered.get(query)] : [])
    expect(answers.filter((item) => item.nodeId === nodeId)).toHaveLength(rows.length)
  }
}

it('every query is answered once by each of its targets, whatever becomes of agents and replies', () =>
  checkServer(
    fc.asyncProperty(steps, async (taken) => {
      const [first, second] = [unused.shift(), unused.shift()]
      // Out of nodes: a failure gets no smaller.
      if (first === undefined || second === undefined) return fc.pre(false)
      const agents = [new Agent(first), new Agent(second)] as const
      for (const step of taken) await take(agents, step)
      // The agents come to rest: what is left is offered again and answered.
      await pass(agents, 31)
      for (const agent of agents) await agent.read()
      for (const node of [0, 1]) await take(agents, { what: 'answer-for-other', node })
      for (const agent of agents) {
        await agent.answer(
          Array.from({ length: QUERIES }, (_, at) => at),
          1,
          true,
        )
        expect([...agent.answered.keys()].sort((a, b) => a - b)).toEqual(agent.targeting)
        await agent.read()
      }
      await expectAnswers(agents)
    }),
    RUNS / RUNS_FACTOR,
  ))
