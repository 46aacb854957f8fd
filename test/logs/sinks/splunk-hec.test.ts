import { afterAll, beforeEach, describe, expect, test } from 'vitest'
import { gunzipSync } from 'node:zlib'
import { splunkHecKind } from '../../../src/logs/sinks/splunk-hec.ts'
import { readHecReply } from '../../../src/logs/sinks/splunk-hec-reply.ts'
import { utf8 } from '../../../src/lib/bytes.ts'
import { startHecServer } from '../../support/sinks/splunk-hec.ts'
import {
  archived,
  batchOf,
  NODE_ID,
  plainSend,
  resultLine,
  SINK_ID,
  stateOf,
  targetOf,
  UNIX_TIME,
} from './support.ts'

const server = await startHecServer()
afterAll(() => server.close())
beforeEach(() => {
  const defaults = {
    tokenIsDisabled: false,
    maxContentLength: 1_000_000,
    acknowledges: false,
    indexedAfterPolls: 1,
  }
  Object.assign(server, { ...defaults, events: [] })
  server.requests.length = 0
  server.failures.length = 0
})

function target(settings: Record<string, unknown> = {}, gzip = true) {
  return targetOf(splunkHecKind, { url: server.url, ...settings }, { token: server.token }, gzip)
}

function deliver(lines = [archived()], sink = target()) {
  return splunkHecKind.deliver(batchOf(lines), sink, plainSend)
}

describe('events', () => {
  test('have time in seconds, host, source, sourcetype, our facts as flat fields, and the line', async () => {
    const line = archived()
    expect(await deliver([line])).toEqual({ kind: 'delivered', rejected: [] })
    expect(server.events).toEqual([
      {
        time: UNIX_TIME,
        host: 'web-1',
        source: 'osquery-edge',
        sourcetype: 'osquery:result',
        fields: {
          event_id: line.header.eventId,
          environment: line.header.environment,
          node_id: NODE_ID,
          platform: 'ubuntu',
          pack: 'it',
          query: 'processes',
          configuration_version: '7',
          tags: ['prod', 'web'],
        },
        event: JSON.parse(resultLine()) as unknown,
      },
    ])
  })

  test('are concatenated, in gzip, each with milliseconds and the bytes of its line', async () => {
    await deliver([archived('{"n":12345678901234567890}'), archived('{"b":"\\u00e9"}')])
    const [request] = server.requests
    const text = gunzipSync(request?.body ?? '').toString()
    expect(text.match(/"time":\d+\.\d{3},/g)).toHaveLength(2)
    expect(text).toContain('"event":{"n":12345678901234567890}}\n{"time"')
    expect(text).toContain('"event":{"b":"\\u00e9"}}\n')
    expect(request?.headers['content-encoding']).toBe('gzip')
  })

  test('go without gzip where the sink says so', async () => {
    await deliver([archived()], target({}, false))
    expect(server.requests[0]?.headers['content-encoding']).toBeUndefined()
    expect(server.events).toHaveLength(1)
  })

  test.each(['result', 'snapshot', 'status', 'query', 'audit'] as const)('of type %s', async (type) => {
    await deliver([archived('{}', { type })])
    expect(server.events[0]?.sourcetype).toBe(`osquery:${type}`)
  })

  test('carry the index and the source of the sink', async () => {
    await deliver([archived()], target({ index: 'osquery', source: 'fleet' }))
    expect(server.events[0]).toMatchObject({ index: 'osquery', source: 'fleet' })
  })

  test('that are not UTF-8 go as what can be read of them', async () => {
    const line = { ...archived(), line: new Uint8Array([...utf8('{"path":"a'), 0xff, ...utf8('b"}')]) }
    expect(await deliver([line])).toMatchObject({ kind: 'delivered' })
    expect(server.events[0]?.event).toEqual({ path: 'a\ufffdb' })
  })

  test('of nobody have a host still', async () => {
    await deliver([archived('{}', { type: 'audit', nodeId: null, hostname: null, platform: null, tags: [] })])
    expect(server.events[0]?.host).toBe('osquery-edge')
    expect(server.events[0]?.fields).not.toHaveProperty('node_id')
  })
})

describe('a bad event', () => {
  test('goes to quarantine with the code, the rest goes on', async () => {
    const lines = [archived('{"a":1}'), archived('{"a":bad}'), archived('{"a":3}')]
    const outcome = await deliver(lines)
    const reason = 'HEC code 6: Invalid data format'
    expect(outcome).toEqual({ kind: 'delivered', rejected: [{ eventId: lines[1]?.header.eventId, reason }] })
    expect(new Set(server.events.map(({ event }) => event['a']))).toEqual(new Set([1, 3]))
  })

  test('stays refused when the rest has to wait', async () => {
    const lines = [archived('{"a":bad}'), archived('{"a":2}')]
    server.failures.push(
      { status: 400, body: '{"code":6,"invalid-event-number":0}' },
      { status: 503, body: '{"code":9}' },
    )
    const first = await deliver(lines)
    expect(first).toMatchObject({ kind: 'retry', reason: 'HEC code 9: Server is busy' })
    const again = await deliver(lines, { ...target(), state: stateOf(first) })
    expect(again).toMatchObject({ kind: 'delivered', rejected: [{ eventId: lines[0]?.header.eventId }] })
    expect(server.events).toHaveLength(1)
  })

  test('without a number halves the batch, and so do too many', async () => {
    server.failures.push({ status: 400, body: '{"code":12}' })
    expect(await deliver()).toMatchObject({ kind: 'split' })
    expect(await deliver(Array.from({ length: 30 }, () => archived('{bad}')))).toMatchObject({
      kind: 'split',
    })
  })
})

describe('codes', () => {
  const table: [code: number, status: number, kind: string][] = [
    [0, 200, 'accepted'],
    [1, 403, 'refused'],
    [2, 401, 'refused'],
    [3, 401, 'refused'],
    [4, 403, 'refused'],
    [5, 400, 'split'],
    [6, 400, 'split'],
    [7, 400, 'refused'],
    [8, 500, 'retry'],
    [9, 503, 'retry'],
    [10, 400, 'refused'],
    [11, 400, 'refused'],
    [12, 400, 'split'],
    [13, 400, 'split'],
    [14, 400, 'refused'],
    [15, 400, 'split'],
    [16, 400, 'refused'],
    [17, 200, 'accepted'],
    [18, 503, 'retry'],
    [19, 503, 'retry'],
    [20, 503, 'retry'],
    [21, 400, 'refused'],
    [22, 400, 'refused'],
    [23, 503, 'retry'],
    [24, 200, 'accepted'],
    [25, 200, 'accepted'],
    [26, 429, 'retry'],
    [27, 429, 'retry'],
  ]
  test.each(table)('%i (HTTP %i): %s', (code, status, kind) => {
    expect(readHecReply(status, utf8(JSON.stringify({ text: '…', code }))).kind).toBe(kind)
  })

  test.each([6, 12, 13, 15])('%i with the number of an event: that event', (code) => {
    const body = utf8(JSON.stringify({ text: '…', code, 'invalid-event-number': 3 }))
    expect(readHecReply(400, body)).toMatchObject({ kind: 'bad-event', at: 3 })
  })

  test.each([
    [200, 'refused'],
    [400, 'refused'],
    [404, 'refused'],
    [301, 'refused'],
    [408, 'retry'],
    [413, 'split'],
    [429, 'retry'],
    [502, 'retry'],
    [503, 'retry'],
  ])('none (HTTP %i, a proxy speaks): %s', (status, kind) => {
    expect(readHecReply(status, utf8('<html>')).kind).toBe(kind)
  })
})

describe('what a server says', () => {
  test('a wrong token is refused, and so is an index that the token may not use', async () => {
    const foreign = targetOf(splunkHecKind, { url: server.url }, { token: 'other' })
    expect(await deliver([archived()], foreign)).toEqual({
      kind: 'refused',
      reason: 'HEC code 4: Invalid token',
    })
    expect(await deliver([archived()], target({ index: 'secret' }))).toMatchObject({ kind: 'refused' })
    server.tokenIsDisabled = true
    expect(await deliver()).toMatchObject({ kind: 'refused', reason: 'HEC code 1: Token disabled' })
  })

  test('Retry-After of a 429 is honoured', async () => {
    server.failures.push({ status: 429, body: '{"code":26}', headers: { 'retry-after': '7' } })
    expect(await deliver()).toMatchObject({ kind: 'retry', retryAfterMs: 7_000 })
  })

  test('a body over max_content_length halves the batch', async () => {
    server.maxContentLength = 100
    expect(await deliver([archived(), archived()], target({}, false))).toMatchObject({ kind: 'split' })
  })
})

describe('acknowledgements', () => {
  const sink = () => target({ acknowledgements: true })

  test('a batch is delivered once Splunk says that it is indexed', async () => {
    Object.assign(server, { acknowledges: true, indexedAfterPolls: 2 })
    const batch = batchOf([archived()])
    const sent = await splunkHecKind.deliver(batch, sink(), plainSend)
    expect(sent).toMatchObject({ kind: 'pending', state: { asked: { ackId: expect.any(Number) as number } } })
    const asked = await splunkHecKind.deliver(batch, { ...sink(), state: stateOf(sent) }, plainSend)
    expect(asked).toMatchObject({ kind: 'pending' })
    const done = await splunkHecKind.deliver(batch, { ...sink(), state: stateOf(asked) }, plainSend)
    expect(done).toEqual({ kind: 'delivered', rejected: [] })
    expect(server.requests.map(({ url }) => url.pathname)).toEqual([
      '/services/collector/event',
      '/services/collector/ack',
      '/services/collector/ack',
    ])
    expect(server.requests[0]?.headers['x-splunk-request-channel']).toBe(SINK_ID)
    expect(server.requests[1]?.url.searchParams.get('channel')).toBe(SINK_ID)
  })

  test('what is not acknowledged within five minutes is sent again', async () => {
    Object.assign(server, { acknowledges: true, indexedAfterPolls: Number.POSITIVE_INFINITY })
    const batch = batchOf([archived()])
    const sent = await splunkHecKind.deliver(batch, sink(), plainSend)
    const later = { ...batch, nowMs: batch.nowMs + 5 * 60_000 + 1 }
    const again = await splunkHecKind.deliver(later, { ...sink(), state: stateOf(sent) }, plainSend)
    expect(again).toMatchObject({ kind: 'pending', state: { asked: { sinceMs: later.nowMs } } })
    expect(server.events).toHaveLength(2)
  })

  test('asking goes on after a failure to answer, without sending twice', async () => {
    server.acknowledges = true
    const batch = batchOf([archived()])
    const sent = await splunkHecKind.deliver(batch, sink(), plainSend)
    server.failures.push({ status: 503, body: '{"code":19}' })
    const failed = await splunkHecKind.deliver(batch, { ...sink(), state: stateOf(sent) }, plainSend)
    expect(failed).toMatchObject({ kind: 'retry' })
    const done = await splunkHecKind.deliver(batch, { ...sink(), state: stateOf(failed) }, plainSend)
    expect(done).toMatchObject({ kind: 'delivered' })
    expect(server.events).toHaveLength(1)
  })

  test('a sink and a token that do not agree on them are refused', async () => {
    expect(await deliver([archived()], sink())).toMatchObject({
      kind: 'refused',
      reason: /useACK/ as unknown as string,
    })
    server.acknowledges = true
    expect(await deliver()).toMatchObject({
      kind: 'refused',
      reason: /channel is missing/ as unknown as string,
    })
  })
})

describe('settings', () => {
  test.each([
    [{ url: 'ftp://x' }],
    [{ url: 'https://user:pass@x' }],
    [{ url: 'https://x?token=1' }],
    [{ url: 'https://x', index: 'Not An Index' }],
    [{ url: 'https://x', unknown: 1 }],
    [{}],
  ])('%j are refused', (settings) => {
    expect(splunkHecKind.settings.safeParse(settings).success).toBe(false)
  })

  test('a token that a header cannot hold is refused', () => {
    expect(splunkHecKind.secrets.safeParse({ token: 'a\nb' }).success).toBe(false)
  })
})
