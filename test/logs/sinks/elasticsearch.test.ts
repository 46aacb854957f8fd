import { afterAll, beforeEach, describe, expect, test } from 'vitest'
import { elasticsearchKind } from '../../../src/logs/sinks/elasticsearch.ts'
import { readBulkReply } from '../../../src/logs/sinks/elasticsearch-reply.ts'
import { utf8 } from '../../../src/lib/bytes.ts'
import { startElasticsearchServer } from '../../support/sinks/elasticsearch.ts'
import { archived, batchOf, plainSend, resultLine, stateOf, targetOf } from './support.ts'

const server = await startElasticsearchServer()
afterAll(() => server.close())
beforeEach(() => {
  server.maxContentLength = 1_000_000
  server.streams.clear()
  server.itemFailures.clear()
  server.requests.length = 0
  server.failures.length = 0
})

const NOW = {
  type: 'es_rejected_execution_exception',
  reason: 'rejected execution of coordinating operation',
}

function target(settings: Record<string, unknown> = {}, gzip = true) {
  return targetOf(elasticsearchKind, { url: server.url, ...settings }, { apiKey: server.apiKey }, gzip)
}

function deliver(lines = [archived()], sink = target()) {
  return elasticsearchKind.deliver(batchOf(lines), sink, plainSend)
}

describe('documents', () => {
  test('are created in a data stream a type, under our event id', async () => {
    const lines = [archived(), archived('{"snapshot":[],"action":"snapshot"}', { type: 'snapshot' })]
    expect(await deliver(lines)).toEqual({ kind: 'delivered', rejected: [] })
    const ids = [...server.streams].map(([stream, documents]) => [stream, [...documents.keys()]])
    expect(ids).toEqual([
      ['logs-osquery.result-default', [lines[0]?.header.eventId]],
      ['logs-osquery.snapshot-default', [lines[1]?.header.eventId]],
    ])
  })

  test('go to one data stream where the sink says so, without gzip too', async () => {
    await deliver([archived(), archived('{}', { type: 'status' })], target({ dataStream: 'osquery' }, false))
    expect([...server.streams.keys()]).toEqual(['osquery'])
    expect(server.documents()).toHaveLength(2)
  })

  test('that are there already are delivered: an answer was lost', async () => {
    const lines = [archived(), archived()]
    server.failures.push('answer-lost')
    await expect(deliver(lines)).rejects.toThrow()
    expect(await deliver(lines)).toEqual({ kind: 'delivered', rejected: [] })
    expect(server.documents()).toHaveLength(2)
  })
})

describe('credentials', () => {
  test('basic, of any characters', async () => {
    const { url, username, password } = server
    const sink = targetOf(elasticsearchKind, { url }, { username, password })
    expect(await deliver([archived()], sink)).toMatchObject({ kind: 'delivered' })
  })

  test('an API key as id:key too', async () => {
    const plain = Buffer.from(server.apiKey, 'base64').toString()
    const sink = targetOf(elasticsearchKind, { url: server.url }, { apiKey: plain })
    expect(await deliver([archived()], sink)).toMatchObject({ kind: 'delivered' })
  })

  test('that are wrong are refused with what it says', async () => {
    const sink = targetOf(elasticsearchKind, { url: server.url }, { apiKey: 'wrong' })
    const reason = '401 security_exception: unable to authenticate user'
    expect(await deliver([archived()], sink)).toEqual({ kind: 'refused', reason })
  })

  test.each([[{}], [{ apiKey: 'a', username: 'b', password: 'c' }], [{ username: 'b' }], [{ apiKey: '' }]])(
    '%j are refused before they are used',
    (secrets) => expect(elasticsearchKind.secrets.safeParse(secrets).success).toBe(false),
  )
})

describe('items that fail', () => {
  test('with 429 or 5xx go again, alone; with a mapping at odds never; the rest is there', async () => {
    const lines = [archived(), archived(), archived(), archived()]
    const [, busy = '', odd = '', broken = ''] = lines.map(({ header }) => header.eventId)
    server.itemFailures.set(busy, [{ status: 429, ...NOW }])
    server.itemFailures.set(odd, [
      { status: 400, type: 'document_parsing_exception', reason: 'failed to parse' },
    ])
    server.itemFailures.set(broken, [
      { status: 503, type: 'unavailable_shards_exception', reason: 'not active' },
    ])
    const first = await deliver(lines)
    expect(first).toMatchObject({ kind: 'retry', reason: `2 of 4 lines: 429 ${NOW.type}: ${NOW.reason}` })
    const again = await deliver(lines, { ...target(), state: stateOf(first) })
    const reason = '400 document_parsing_exception: failed to parse'
    expect(again).toEqual({ kind: 'delivered', rejected: [{ eventId: odd, reason }] })
    expect(server.documents()).toHaveLength(3)
    expect(server.requests[1]?.body.length).toBeLessThan(server.requests[0]?.body.length ?? 0)
  })

  test('keep what was refused while the whole waits', async () => {
    const lines = [archived(), archived()]
    const [odd = '', busy = ''] = lines.map(({ header }) => header.eventId)
    server.itemFailures.set(odd, [{ status: 400, type: 'document_parsing_exception', reason: 'no' }])
    server.itemFailures.set(busy, [{ status: 429, ...NOW }])
    const first = await deliver(lines)
    server.failures.push({ status: 503, headers: { 'retry-after': '3' } })
    const second = await deliver(lines, { ...target(), state: stateOf(first) })
    expect(second).toMatchObject({ kind: 'retry', retryAfterMs: 3_000 })
    const third = await deliver(lines, { ...target(), state: stateOf(second) })
    expect(third).toMatchObject({ kind: 'delivered', rejected: [{ eventId: odd }] })
  })

  test.each([
    [200, null, 'delivered'],
    [201, null, 'delivered'],
    [409, 'version_conflict_engine_exception', 'delivered'],
    [400, 'document_parsing_exception', 'rejected'],
    [400, 'illegal_argument_exception', 'rejected'],
    [413, 'circuit_breaking_exception', 'rejected'],
    [429, 'es_rejected_execution_exception', 'retry'],
    [429, 'cluster_block_exception', 'retry'],
    [403, 'cluster_block_exception', 'retry'],
    [500, 'exception', 'retry'],
    [503, 'unavailable_shards_exception', 'retry'],
  ])('with %i %s: %s', (status, type, kind) => {
    const error = type === null ? undefined : { type, reason: '…' }
    const body = utf8(JSON.stringify({ errors: true, items: [{ create: { status, error } }] }))
    expect(readBulkReply(200, body, 1)).toMatchObject({ kind: 'items', items: [{ kind }] })
  })

  test.each([
    [401, 'security_exception'],
    [403, 'security_exception'],
    [404, 'index_not_found_exception'],
  ])('with %i %s refuse the sink: no line is at fault', (status, type) => {
    const body = utf8(JSON.stringify({ items: [{ create: { status, error: { type, reason: '…' } } }] }))
    expect(readBulkReply(200, body, 1)).toMatchObject({ kind: 'refused' })
  })
})

describe('requests that fail', () => {
  test.each([
    [400, 'split'],
    [401, 'refused'],
    [403, 'refused'],
    [404, 'refused'],
    [408, 'retry'],
    [413, 'split'],
    [429, 'retry'],
    [500, 'retry'],
    [503, 'retry'],
  ])('with %i: %s', (status, kind) => {
    expect(readBulkReply(status, utf8('{"error":{"type":"t","reason":"r"}}'), 1).kind).toBe(kind)
  })

  test('a body over http.max_content_length halves the batch', async () => {
    server.maxContentLength = 100
    expect(await deliver()).toMatchObject({ kind: 'split' })
  })

  test("a page of somebody else's is refused", async () => {
    server.failures.push({ status: 200, body: '<html>welcome</html>' })
    expect(await deliver()).toMatchObject({ kind: 'refused' })
  })

  test('a reply with fewer items than lines is no reply of _bulk', () => {
    expect(readBulkReply(200, utf8('{"errors":false,"items":[]}'), 2).kind).toBe('refused')
  })
})

test('a reply to thousands of lines that all fail is read', async () => {
  const lines = Array.from({ length: 2_000 }, () => archived('{}'))
  for (const { header } of lines) {
    const reason = 'failed to parse '.repeat(20)
    server.itemFailures.set(header.eventId, [{ status: 400, type: 'document_parsing_exception', reason }])
  }
  const outcome = await deliver(lines)
  expect(outcome).toMatchObject({ kind: 'delivered' })
  expect(outcome.kind === 'delivered' && outcome.rejected.length).toBe(2_000)
})

test.each(['Upper', '_x', 'a,b', 'a*', '', '{type}-x', 'a{type}{type}', 'a/b'])(
  'a data stream called %j is refused',
  (dataStream) => {
    expect(elasticsearchKind.settings.safeParse({ url: 'https://x', dataStream }).success).toBe(false)
  },
)

test('lines of agents with and without numbers fit one mapping', async () => {
  await deliver([
    archived(resultLine({ pid: 1, ratio: 1.5 })),
    archived(resultLine({ pid: '1', ratio: 'n/a' })),
    archived(resultLine({ pid: '', ratio: '' })),
  ])
  expect(server.documents()).toHaveLength(3)
})
