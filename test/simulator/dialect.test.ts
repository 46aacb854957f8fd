/** Old osquery releases on the wire (specification, sections 4, 5.2, 5.3, 6 and 10). */
import { describe, expect, test } from 'vitest'
import { dialectOf } from '../../src/simulator/dialect.ts'
import { acceptWork, writePayload } from '../../src/simulator/distributed.ts'
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
