/** Live queries' answers as log lines of type `query`. */

import '../support/workerd-crypto.ts'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { textOf, utf8 } from '../../src/lib/bytes.ts'
import { gzip } from '../../src/lib/compression.ts'
import { answerEventId, linesOfAnswer } from '../../src/logs/archive-answers.ts'
import { consumeLogs } from '../../src/logs/consume.ts'
import { encodeMessage, type LogMessage } from '../../src/logs/message.ts'
import { answerShardStub } from '../../src/queries/shard-name.ts'
import { startServer, type TestServer } from '../support/harness.ts'
import { created } from '../support/operator.ts'
import { openQuery, ordinalOf } from '../support/queries.ts'
import { idsOf, type LogItem, type LogList } from './support.ts'

let server: TestServer
beforeAll(async () => {
  server = await startServer()
})
afterAll(() => server.close())

let hosts = 0
async function newNode(): Promise<{ nodeKey: string; hostname: string; ordinal: number; nodeId: string }> {
  hosts += 1
  const hostname = `asked-${hosts}`
  const nodeKey = await server.enroll(hostname)
  return { nodeKey, hostname, ordinal: await ordinalOf(server, hostname), nodeId: idsOf(nodeKey).nodeId }
}

/** Answers everything that the node is asked, with this answer. */
async function answer(
  nodeKey: string,
  rows: unknown,
  said: { status?: number; message?: string } = {},
): Promise<void> {
  const ids = await server.until(async () => {
    const reply = await server.agent('/api/osquery/distributed/read', { node_key: nodeKey })
    const found = Object.keys(reply.json<{ queries?: object }>().queries ?? {})
    return found.length > 0 ? found : null
  })
  const each = (value: unknown) => Object.fromEntries(ids.map((id) => [id, value]))
  const { status = 0, message = '' } = said
  const reply = await server.agent('/api/osquery/distributed/write', {
    queries: each(rows),
    statuses: each(status),
    messages: each(message),
    node_key: nodeKey,
  })
  expect([reply.status, reply.text]).toEqual([200, '{}'])
}

async function queryLines(queryId: string): Promise<LogItem[]> {
  const reply = await server.operator('GET', `/environments/default/logs?type=query&name=${queryId}`)
  return reply.json<LogList>().items.toReversed()
}

function untilQueryLines(queryId: string, count: number): Promise<LogItem[]> {
  return server.until(async () => {
    const lines = await queryLines(queryId)
    return lines.length >= count ? lines : null
  })
}

describe('an answer', () => {
  it("becomes a line for each row, the agent's bytes in it", async () => {
    const rows = await gzip(utf8('[{"b":"1", "a" : "\\u00e9"},{"c":18446744073709551615}]'))
    const said = { status: 0, message: '', truncated: false, rows }
    expect((await linesOfAnswer('q', said)).map(textOf)).toEqual([
      '{"queryId":"q","status":0,"columns":{"b":"1", "a" : "\\u00e9"}}',
      '{"queryId":"q","status":0,"columns":{"c":18446744073709551615}}',
    ])
  })

  it.each([
    ['without rows', { status: 0, message: '', rows: null }, '{"queryId":"q","status":0}'],
    [
      'that failed',
      { status: 1, message: 'no such table', rows: null },
      '{"queryId":"q","status":1,"message":"no such table"}',
    ],
  ])('%s is one line', async (_what, said, line) => {
    expect((await linesOfAnswer('q', { truncated: false, ...said })).map(textOf)).toEqual([line])
  })

  it('that was cut says so in each line', async () => {
    const said = { status: 0, message: '', truncated: true, rows: await gzip(utf8('[{}]')) }
    expect((await linesOfAnswer('q', said)).map(textOf)).toEqual([
      '{"queryId":"q","status":0,"truncated":true,"columns":{}}',
    ])
  })

  it('has event ids of a fixed form', async () => {
    expect(await answerEventId('q', 'n', 0)).toBe('106e5189fe64d87a29b7239839f0ce31')
    expect(await answerEventId('q', 'n', 1)).not.toBe(await answerEventId('q', 'n', 0))
  })
})

describe('answers to a live query', () => {
  it('come to the archive by themselves, once', async () => {
    const { nodeKey, hostname, ordinal, nodeId } = await newNode()
    const query = await openQuery(server, 'SELECT 1 AS logged', [ordinal])
    await answer(nodeKey, [{ a: '1' }, { a: '2' }])
    const lines = await untilQueryLines(query.id, 2)
    expect(lines).toMatchObject([
      { nodeId, hostname, platform: 'linux', type: 'query', name: query.id, pack: null, query: null },
      { nodeId, hostname, platform: 'linux', type: 'query', name: query.id, pack: null, query: null },
    ])
    expect(lines.map(({ line }) => line)).toEqual([
      { queryId: query.id, status: 0, columns: { a: '1' } },
      { queryId: query.id, status: 0, columns: { a: '2' } },
    ])
    expect(lines.map(({ eventId }) => eventId)).toEqual([
      await answerEventId(query.id, nodeId, 0),
      await answerEventId(query.id, nodeId, 1),
    ])
  })

  it('that failed come too', async () => {
    const { nodeKey, ordinal } = await newNode()
    const query = await openQuery(server, 'SELECT 1 FROM nowhere', [ordinal])
    await answer(nodeKey, [], { status: 1, message: 'no such table: nowhere' })
    const [line] = await untilQueryLines(query.id, 1)
    expect(line?.line).toEqual({ queryId: query.id, status: 1, message: 'no such table: nowhere' })
  })

  it('stay away where the query says so, and carves always', async () => {
    const { nodeKey, ordinal, nodeId } = await newNode()
    const targets = { nodes: [nodeId] }
    const body = { sql: 'SELECT 2 AS silent', targets, logResults: false }
    const silent = created<{ id: string; logResults: boolean }>(
      await server.operator('POST', '/environments/default/queries', body),
    )
    expect(silent.logResults).toBe(false)
    const carve = await openQuery(server, "SELECT * FROM carves WHERE path = '/x'", [ordinal], {
      kind: 'carve',
    })
    await answer(nodeKey, [{ a: '1' }])
    // What comes after them is there, so they would be.
    const loud = await openQuery(server, 'SELECT 3 AS loud', [ordinal])
    await answer(nodeKey, [{ a: '3' }])
    await untilQueryLines(loud.id, 1)
    expect(await queryLines(silent.id)).toEqual([])
    expect(await queryLines(carve.id)).toEqual([])
  })
})

describe('nothing of them is lost', () => {
  it('a message that got lost is sent again', async () => {
    const { nodeKey, ordinal } = await newNode()
    const query = await openQuery(server, 'SELECT 5 AS resent', [ordinal])
    await answer(nodeKey, [{ a: '5' }])
    await untilQueryLines(query.id, 1)
    const { environmentId } = idsOf(nodeKey)
    const name = `${environmentId}/${query.shards}/${ordinal % query.shards}`
    const storage = await server.worker.getDurableObjectStorage('ANSWER_SHARD', { name })
    const isLogged = async (): Promise<boolean> => {
      const sql = 'SELECT 1 FROM answer_log WHERE number = ? AND pending = 0'
      return (await storage.exec(sql, query.number)).length > 0
    }
    await server.until(isLogged)
    // Told of long ago, and nobody came.
    const lost = 'UPDATE answer_log SET logged = 0, pending = 1, sent_at_ms = 1 WHERE number = ?'
    await storage.exec(lost, query.number)
    // Any answer wakes the shard.
    await openQuery(server, 'SELECT 6 AS waking', [ordinal])
    await answer(nodeKey, [{ a: '6' }])
    await server.until(isLogged)
    expect(await queryLines(query.id)).toHaveLength(1)
  })

  /** A shard's message, handed to the consumer by hand; what became of it. */
  async function deliver(message: LogMessage, env = server.env): Promise<'acked' | 'retried' | undefined> {
    let outcome: 'acked' | 'retried' | undefined
    const one = {
      id: '0',
      timestamp: new Date(),
      attempts: 1,
      body: encodeMessage(message),
      ack: () => (outcome = 'acked'),
      retry: () => (outcome = 'retried'),
    }
    await consumeLogs({ queue: 'osquery-edge-logs', messages: [one] } as unknown as MessageBatch, env)
    return outcome
  }

  it('the shard goes on only after the archive has them; the same message twice is once', async () => {
    const { nodeKey, ordinal, nodeId } = await newNode()
    const query = await openQuery(server, 'SELECT 4 AS kept', [ordinal])
    await answer(nodeKey, [{ a: '4' }])
    const { environmentId } = idsOf(nodeKey)
    const { shards, number } = query
    const message = { kind: 'answers', environmentId, shards, shard: ordinal % shards, number } as const
    await untilQueryLines(query.id, 1)
    const storage = await server.worker.getDurableObjectStorage('ANSWER_SHARD', {
      name: `${environmentId}/${shards}/${ordinal % shards}`,
    })
    // As if the consumer's word had been lost.
    await storage.exec('UPDATE answer_log SET logged = 0, pending = 1 WHERE number = ?', number)
    const away = { getByName: () => ({ add: () => Promise.reject(new Error('injected: away')) }) }
    const env = { ...server.env, ARCHIVE_INDEX: away } as unknown as Env
    expect(await deliver(message, env)).toBe('retried')
    const stub = answerShardStub(server.env, environmentId, shards, ordinal % shards)
    expect(await stub.answersToLog(number)).toMatchObject({ after: 0, upTo: 1, answers: [{ nodeId }] })
    expect(await deliver(message)).toBe('acked')
    expect(await stub.answersToLog(number)).toBeNull()
    expect(await deliver(message)).toBe('acked')
    expect(await queryLines(query.id)).toHaveLength(1)
  })
})
