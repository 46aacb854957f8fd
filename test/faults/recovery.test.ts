/**
 * One store after the other goes away and comes back, inside the objects and the consumer too. Whatever an agent was
 * told is safe meanwhile is there afterwards, once (design R4); what it was not told, it sends again.
 */

import { createHash, randomBytes } from 'node:crypto'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { startServer, type TestServer } from '../support/harness.ts'
import { openQuery, ordinalOf } from '../support/queries.ts'

const OUTAGES = [
  'DB',
  'ARCHIVE',
  'LOGS',
  'ARCHIVE_INDEX',
  'ANSWER_SHARD',
  'ENVIRONMENT',
  'CARVE_SESSION',
  'CARVES',
]
const BLOCK_BYTES = 64 * 1_024

let server: TestServer
beforeAll(async () => {
  server = await startServer({ entry: 'test/faults/entry.ts' })
})
afterAll(() => server.close())

function setFaults(faults: Record<string, string>) {
  return server.agent('/test/faults', faults)
}

/** An agent that keeps what was not acknowledged and sends it again with the next. */
class StubbornAgent {
  readonly acknowledgedLines: string[] = []
  #buffer: string[] = []
  #answers: Record<string, unknown[]> = {}
  readonly acknowledgedAnswers: string[] = []
  readonly #nodeKey: string

  constructor(nodeKey: string) {
    this.#nodeKey = nodeKey
  }

  async log(line: string): Promise<void> {
    this.#buffer.push(line)
    const body = `{"data":[${this.#buffer.join(',')}],"log_type":"result","node_key":"${this.#nodeKey}"}`
    const reply = await server.agent('/api/osquery/log', body)
    expect(['{}', 'retry']).toContain(reply.text)
    if (reply.text === '{}') this.acknowledgedLines.push(...this.#buffer.splice(0))
  }

  async poll(): Promise<void> {
    const reply = await server.agent('/api/osquery/distributed/read', { node_key: this.#nodeKey })
    if (reply.text === 'retry') return
    for (const [id, sql] of Object.entries(
      reply.json<{ queries?: Record<string, string> }>().queries ?? {},
    )) {
      this.#answers[id] = [{ sql }]
    }
  }

  async write(): Promise<void> {
    const queries = this.#answers
    if (Object.keys(queries).length === 0) return
    const reply = await server.agent('/api/osquery/distributed/write', { queries, node_key: this.#nodeKey })
    expect(['{}', 'retry']).toContain(reply.text)
    if (reply.text !== '{}') return
    this.acknowledgedAnswers.push(...Object.keys(queries))
    this.#answers = {}
  }
}

it('nothing that was acknowledged is missing when everything is back', async () => {
  const nodeKey = await server.enroll('stubborn')
  const agent = new StubbornAgent(nodeKey)
  const archive = randomBytes(BLOCK_BYTES * OUTAGES.length)
  const carve = {
    block_count: OUTAGES.length,
    block_size: BLOCK_BYTES,
    carve_size: archive.length,
    carve_id: 'carve-through-outages',
    request_id: 'r',
    node_key: nodeKey,
  }
  const begun = await server.agent('/api/osquery/carve/begin', carve)
  const { session_id: sessionId } = begun.json<{ session_id: string }>()
  const ordinal = await ordinalOf(server, 'stubborn')

  async function sendBlock(index: number): Promise<string> {
    const data = archive.subarray(index * BLOCK_BYTES, (index + 1) * BLOCK_BYTES).toString('base64')
    const body = { block_id: index, session_id: sessionId, request_id: 'r', data }
    return (await server.agent('/api/osquery/carve/block', body)).text
  }

  const opened = []
  const unsent = new Set<number>()
  for (const [index, binding] of OUTAGES.entries()) {
    opened.push(await openQuery(server, `SELECT '${binding}'`, [ordinal]))
    await setFaults({ [binding]: 'throw' })
    for (let i = 0; i < 3; i += 1) {
      await agent.log(
        `{"name":"outage","columns":{"binding":"${binding}","i":"${i}"},"action":"added","unixTime":${index}}`,
      )
    }
    await agent.poll()
    await agent.write()
    if ((await sendBlock(index)) !== '{}') unsent.add(index)
    // Long enough for the consumer and the alarms to meet the outage.
    await new Promise((resolve) => setTimeout(resolve, 700))
    await setFaults({})
  }
  await agent.log('{"name":"outage","columns":{"binding":"none"},"action":"added","unixTime":99}')
  for (const index of unsent) expect(await sendBlock(index)).toBe('{}')
  expect(agent.acknowledgedLines).toHaveLength(OUTAGES.length * 3 + 1)

  const found = await server.until(async () => {
    // The cron trigger: it finds what was acknowledged while the queue was away.
    await server.worker.scheduled({ cron: '* * * * *', scheduledTime: new Date() })
    const { text } = await server.operator('GET', '/environments/default/logs?name=outage&limit=1000')
    return agent.acknowledgedLines.every((line) => text.includes(line)) ? text : null
  })
  for (const line of agent.acknowledgedLines) expect(found.split(line)).toHaveLength(2)

  await server.until(async () => {
    await agent.poll()
    await agent.write()
    return agent.acknowledgedAnswers.length >= OUTAGES.length
  })
  for (const query of opened) {
    const { items } = (
      await server.operator('GET', `/environments/default/queries/${query.id}/results`)
    ).json<{
      items: unknown[]
    }>()
    expect(items).toHaveLength(1)
  }

  const sha256 = createHash('sha256').update(archive).digest('hex')
  await server.until(async () => {
    const { items } = (await server.operator('GET', '/environments/default/carves')).json<{
      items: { carveId: string; sha256: string; status: string }[]
    }>()
    return items.some((item) => item.status === 'complete' && item.sha256 === sha256)
  })
})
