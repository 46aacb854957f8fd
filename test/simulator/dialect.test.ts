/** Old osquery releases on the wire (specification, sections 4, 5.2, 5.3, 6 and 10). */
import { describe, expect, test } from 'vitest'
import { dialectOf } from '../../src/simulator/dialect.ts'
import { acceptWork, writePayload } from '../../src/simulator/distributed.ts'
import { judgeEnvelope } from '../../src/simulator/judge.ts'
import { differentialLines } from '../../src/simulator/result-lines.ts'
import { DEFAULT_FLAGS } from '../../src/simulator/settings.ts'
import { statusLine } from '../../src/simulator/status-lines.ts'
import { useAgentFixture } from './agent-fixture.ts'

const found = () => ({ ok: true as const, value: [{ one: '1' }] })

describe('bodies', () => {
  test('hold texts alone before 3.2.0, and "" for what is empty', () => {
    const { stringify } = dialectOf('2.11.0')
    expect(stringify({ a: 1, b: true, c: [], d: {}, e: [{ f: 2 }], g: null })).toBe(
      '{"a":"1","b":"true","c":"","d":"","e":[{"f":"2"}],"g":""}',
    )
    expect(dialectOf('3.2.0').stringify({ a: 1, c: [] })).toBe('{"a":1,"c":[]}')
  })

  test('of a write have messages since 4.4.0 and stats since 5.8.0', () => {
    const answers = new Map([['q', { rows: [], status: 0 as const, message: '', stats: {} }]])
    expect(Object.keys(writePayload(answers, dialectOf('4.3.0')))).toEqual(['queries', 'statuses'])
    expect(Object.keys(writePayload(answers, dialectOf('5.5.1')))).toEqual([
      'queries',
      'statuses',
      'messages',
    ])
  })
})

describe('lines', () => {
  const execution = { name: 'q', hostIdentifier: 'h', timeMs: 0, epoch: 0, decorations: {} }

  test('say nothing of numerics before 4.1.1, and escape UTF-8 before 5.22.0', () => {
    const run = (version: string) =>
      differentialLines(
        { ...execution, dialect: dialectOf(version) },
        'SELECT',
        [{ a: 'é' }],
        undefined,
        true,
        DEFAULT_FLAGS,
      )
    const line = (version: string) => JSON.parse(run(version).lines[0] ?? '') as Record<string, unknown>
    expect(line('4.0.0')).not.toHaveProperty('numerics')
    expect(line('5.21.0').columns).toEqual({ a: String.raw`\xC3\xA9` })
    expect(line('5.22.0').columns).toEqual({ a: 'é' })
  })

  test('about the status hold texts before 5.10.0', () => {
    const source = { severity: 1 as const, filename: 'a.cpp', line: 7, message: 'm' }
    const text = (version: string) =>
      statusLine(
        source,
        { hostIdentifier: 'h', version, timeMs: 1000, dialect: dialectOf(version) },
        {},
        {},
      ) ?? ''
    expect(JSON.parse(text('4.9.0'))).toMatchObject({ severity: '1', line: '7', unixTime: '1' })
    expect(JSON.parse(text('5.10.0'))).toMatchObject({ severity: 1, line: 7, unixTime: 1 })
  })
})

describe('discovery before 5.8.0', () => {
  const work = (discovery: Record<string, string>) => {
    const runSql = (sql: string) => (sql === 'none' ? { ok: true as const, value: [] } : found())
    const { queries } = acceptWork({ queries: { a: 'A', b: 'B' }, discovery }, runSql, dialectOf('5.7.0'))
    return [...queries.keys()]
  }

  test('skips what has no entry once anything matched', () => expect(work({ a: 'some' })).toEqual(['a']))
  test('runs everything when nothing matched', () => expect(work({ a: 'none' })).toEqual(['a', 'b']))
  test('runs what is asked when each id has an entry', () =>
    expect(work({ a: 'some', b: 'some', _always: 'some' })).toEqual(['a', 'b']))
})

describe('replies', () => {
  test('may say node_invalid as a text before 3.2.0', () => {
    const kind = (text: string, version: string) =>
      judgeEnvelope(Buffer.from(text), dialectOf(version).readsTexts).kind
    for (const value of ['"1"', '"true"', '"True"', 'true'])
      expect([kind(`{"node_invalid":${value}}`, '2.11.2'), kind(`{"node_invalid":"no"}`, '2.11.2')]).toEqual([
        'node-invalid',
        'ok',
      ])
    expect(kind('{"node_invalid":"true"}', '5.23.1')).toBe('ok')
  })

  test('accelerate by an integer, by a text in 3.2.0 to 3.2.2, by either before', () => {
    const seconds = (accelerate: number | string, version: string) =>
      acceptWork({ accelerate }, found, dialectOf(version)).accelerateSeconds
    expect([seconds(60, '5.23.1'), seconds('60', '5.23.1')]).toEqual([60, undefined])
    expect([seconds(60, '3.2.1'), seconds('60', '3.2.1')]).toEqual([undefined, 60])
    expect([seconds(60, '2.11.2'), seconds('60', '2.11.2')]).toEqual([60, 60])
    expect([seconds(1.5, '5.23.1'), seconds(2 ** 31, '5.23.1'), seconds(0, '5.23.1')]).toEqual([
      undefined,
      undefined,
      0,
    ])
  })
})

describe('an agent', () => {
  const fixture = useAgentFixture()

  test('sends its key in a header only since 5.23.0', async () => {
    const old = await fixture.enrolledAgent({ version: '5.22.1' })
    await old.fetchConfig()
    expect(fixture.lastSent('/config')?.headers.authorization).toBeUndefined()
    const agent = await fixture.enrolledAgent({ version: '5.23.0' })
    await agent.fetchConfig()
    expect(fixture.lastSent('/config')?.headers.authorization).toMatch(/^NodeKey /)
  })

  test('takes a large configuration before 4.3.0', async () => {
    const schedule = { users: { query: 'SELECT uid FROM users', interval: 60 } }
    fixture.reply('/config', { schedule, padding: 'x'.repeat(1024 * 1024) })
    const old = await fixture.enrolledAgent({ version: '4.2.0' })
    await old.fetchConfig()
    expect(old.scheduledNames).toEqual(['users'])
  })

  test('enrolls on each thread by itself before 4.8.0, and with as many tries as config before 3.4.0', async () => {
    const old = fixture.newAgent({ version: '4.7.0' })
    await Promise.all([old.fetchConfig(), old.flushLogs()])
    expect(fixture.sent('/enroll')).toHaveLength(2)
    fixture.misbehave('/enroll', { raw: 'retry', status: 503 })
    await fixture.newAgent({ version: '2.11.2' }).enroll()
    expect(fixture.sent('/enroll')).toHaveLength(5)
  })

  test('tells the request of a carve by the query that ran last before 4.7.0', async () => {
    const queries = { q7: "SELECT * FROM carves WHERE carve=1 AND path='/no/such/file'" }
    fixture.once('/distributed/read', { json: { queries } })
    const old = await fixture.enrolledAgent({ version: '4.3.0' })
    await old.pollDistributed()
    await old.carvePending()
    expect(fixture.lastSent('/carve/begin')?.body.request_id).toBe('q7')
    expect(fixture.lastSent('/distributed/write')?.body.queries).toEqual({
      q7: [expect.not.objectContaining({ request_id: expect.anything() as string })],
    })
  })

  test('that died in a query does not run it again for a day, since 5.5.0', async () => {
    fixture.reply('/distributed/read', { queries: { q: 'SELECT 1 AS one' } })
    let atCrash = fixture.newAgent().exportState()
    const dying = await fixture.enrolledAgent({
      onEvent: (event) => {
        if (event.kind === 'query-started') atCrash = dying.exportState()
      },
    })
    await dying.pollDistributed()
    for (const [version, messages] of [
      ['5.5.0', { q: 'distributed query is denylisted' }],
      ['5.4.0', { q: '' }],
    ] as const) {
      await fixture.newAgent({ version, state: atCrash }).pollDistributed()
      expect(fixture.lastSent('/distributed/write')?.body.messages).toEqual(messages)
    }
  })
})
