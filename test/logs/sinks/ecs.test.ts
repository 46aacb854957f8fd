import { describe, expect, test } from 'vitest'
import { ecsDocumentOf } from '../../../src/logs/sinks/ecs.ts'
import { eventTimeMs } from '../../../src/logs/sinks/event-time.ts'
import { archived, ENVIRONMENT_ID, NODE_ID, RECEIVED_AT, resultLine, UNIX_TIME } from './support.ts'

describe('a result', () => {
  test('has the fields of ECS and what osquery said', () => {
    const line = archived(
      resultLine({ path: '/etc/hosts', size: '12', mtime: '1700000000', md5: '', inode: '0' }),
    )
    expect(ecsDocumentOf(line)).toEqual({
      '@timestamp': '2026-11-22T01:32:00.000Z',
      ecs: { version: '8.17.0' },
      event: {
        kind: 'event',
        type: ['info'],
        module: 'osquery',
        provider: 'osquery',
        dataset: 'osquery.result',
        id: line.header.eventId,
        action: 'added',
        created: RECEIVED_AT,
      },
      rule: { name: 'processes', ruleset: 'it' },
      host: { hostname: 'web-1', id: '4c4c4544-0039-4210-8053-b4c04f4d3132', os: { platform: 'ubuntu' } },
      user: { name: 'alice' },
      agent: { type: 'osquery', id: NODE_ID },
      observer: { vendor: 'osquery-edge', product: 'osquery-edge', type: 'fleet-manager' },
      related: { hosts: ['web-1'], user: ['alice'] },
      organization: { id: ENVIRONMENT_ID },
      tags: ['prod', 'web'],
      file: { path: '/etc/hosts', size: 12, mtime: '2023-11-14T22:13:20.000Z' },
      osquery: {
        result: {
          name: 'pack_it_processes',
          action: 'added',
          epoch: '0',
          counter: '4',
          unix_time: String(UNIX_TIME),
          calendar_time: 'Sun Nov 22 01:32:00 2026 UTC',
          host_identifier: 'b151b2f0-7a5c-4995-b492-3fedc71abfe2',
          configuration_version: 7,
          columns: { path: '/etc/hosts', size: '12', mtime: '1700000000', inode: '0' },
          decorations: { host_uuid: '4c4c4544-0039-4210-8053-b4c04f4d3132', username: 'alice' },
        },
      },
    })
  })

  test('keeps integers that a double cannot hold', () => {
    const document = ecsDocumentOf(archived('{"columns":{"inode":12345678901234567890},"action":"added"}'))
    expect(document).toMatchObject({ osquery: { result: { columns: { inode: '12345678901234567890' } } } })
  })

  test('names processes and URLs', () => {
    expect(ecsDocumentOf(archived(resultLine({ name: 'sshd', pid: '7', url: 'https://x' })))).toMatchObject({
      process: { name: 'sshd', pid: 7 },
      url: { full: 'https://x' },
    })
  })
})

test("a snapshot's rows go together", () => {
  const line = archived('{"snapshot":[{"a":1},{"a":"2","b":""}],"action":"snapshot"}', { type: 'snapshot' })
  expect(ecsDocumentOf(line)).toMatchObject({
    event: { action: 'snapshot', dataset: 'osquery.snapshot' },
    osquery: { snapshot: { snapshot: [{ a: '1' }, { a: '2' }] } },
  })
})

test("an answer's row is columns, and batches have what was added and removed", () => {
  const answer = '{"queryId":"q","status":0,"columns":{"name":"Ubuntu","version":24}}'
  expect(ecsDocumentOf(archived(answer, { type: 'query' }))).toMatchObject({
    osquery: { query: { queryId: 'q', status: 0, columns: { name: 'Ubuntu', version: '24' } } },
  })
  const batch = '{"diffResults":{"added":[{"a":1}],"removed":""},"name":"x"}'
  expect(ecsDocumentOf(archived(batch))).toMatchObject({ osquery: { result: { added: [{ a: '1' }] } } })
})

test('a status line has message and level', () => {
  const status = { severity: '2', filename: 'watcher.cpp', line: '415', message: 'osqueryd worker killed' }
  expect(ecsDocumentOf(archived(JSON.stringify(status), { type: 'status', name: '' }))).toMatchObject({
    message: 'osqueryd worker killed',
    log: { level: 'error', origin: { file: { name: 'watcher.cpp', line: 415 } } },
  })
})

test('a line of nobody, and one that is no JSON, are documents too', () => {
  const header = {
    type: 'audit',
    nodeId: null,
    hostname: null,
    platform: null,
    tags: [],
    name: 'query.create',
  } as const
  expect(ecsDocumentOf(archived('{"actor":"alice"}', header))).toMatchObject({
    event: { action: 'query.create' },
    osquery: { audit: { actor: 'alice' } },
  })
  expect(ecsDocumentOf(archived('{oops}'))).toMatchObject({ '@timestamp': RECEIVED_AT })
})

describe('the time of an event', () => {
  const receivedMs = Date.parse(RECEIVED_AT)
  const { header } = archived()
  test.each([
    ['a number', UNIX_TIME, UNIX_TIME * 1_000],
    ['a text', String(UNIX_TIME), UNIX_TIME * 1_000],
    ['weeks ago: a laptop was away', UNIX_TIME - 30 * 86_400, (UNIX_TIME - 30 * 86_400) * 1_000],
    ['a clock that never was set', 0, receivedMs],
    ['a clock that is days ahead', UNIX_TIME + 2 * 86_400, receivedMs],
    ['nothing', undefined, receivedMs],
    ['an empty text', '', receivedMs],
    ['no number', 'soon', receivedMs],
    ['an object', {}, receivedMs],
    ['beyond all bounds', 1e300, receivedMs],
  ])('by unixTime: %s', (_, unixTime, expected) => {
    expect(eventTimeMs(header, { unixTime })).toBe(expected)
  })
})
