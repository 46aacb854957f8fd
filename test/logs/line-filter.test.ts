/** What a search finds: names, columns in lines of every shape, text however the agent escaped it. */

import { describe, expect, it } from 'vitest'
import { utf8 } from '../../src/lib/bytes.ts'
import { lineMatcher, typesOf, type LineChoice, type LineFilter } from '../../src/logs/line-filter.ts'
import type { LineHeader } from '../../src/logs/line.ts'
import { nameMatcher } from '../../src/logs/name-glob.ts'

const HEADER: LineHeader = {
  format: 2,
  eventId: '0'.repeat(32),
  environment: '',
  nodeId: 'a',
  hostname: null,
  platform: null,
  tags: [],
  receivedAt: '2026-06-01T12:00:00.000Z',
  type: 'result',
  name: 'n',
  pack: null,
  query: null,
  configurationVersion: null,
  index: 0,
}
const NOTHING: LineFilter = {
  nodeId: null,
  type: null,
  name: null,
  sinceMs: null,
  untilMs: null,
  column: null,
  text: null,
}

function matches(line: string, filter: Partial<LineFilter>): boolean {
  return lineMatcher({ ...NOTHING, ...filter })({ header: HEADER, line: utf8(line) })
}

describe('a name', () => {
  it.each([
    ['pack/sec/users', 'pack/sec/users', true],
    ['pack/sec/users', 'pack/sec/user', false],
    ['pack/*', 'pack/sec/users', true],
    ['*users', 'pack/sec/users', true],
    ['pack*sec*users', 'pack/sec/users', true],
    ['*', '', true],
    ['a*a', 'a', false],
    ['ab*bc*cd', 'abcd', false],
    ['a*b*', 'ba', false],
  ])('%s against %s: %s', (pattern, name, expected) => {
    expect(nameMatcher(pattern)(name)).toBe(expected)
  })
})

describe('a column with a value', () => {
  it.each([
    ['of an event', '{"columns":{"path":"/etc/passwd"},"action":"added"}'],
    ['of a snapshot, in any row', '{"snapshot":[{"path":"/tmp"},{"path":"/etc/passwd"}]}'],
    ['of a batch', '{"diffResults":{"added":[],"removed":[{"path":"/etc/passwd"}]}}'],
    ['of a batch before 3.2.0', '{"diffResults":{"added":[{"path":"/etc/passwd"}],"removed":""}}'],
    ['of a status line', '{"path":"/etc/passwd"}'],
    ['with slashes that were escaped', String.raw`{"columns":{"path":"\/etc\/passwd"}}`],
  ])('%s', (_what, line) => {
    expect(matches(line, { column: { name: 'path', value: '/etc/passwd' } })).toBe(true)
    expect(matches(line, { column: { name: 'path', value: '/etc' } })).toBe(false)
    expect(matches(line, { column: { name: 'file', value: '/etc/passwd' } })).toBe(false)
  })

  it('that is a number is compared as text', () => {
    expect(matches('{"columns":{"pid":42}}', { column: { name: 'pid', value: '42' } })).toBe(true)
  })

  it('is a column, not a decoration or a member beside it', () => {
    const line = '{"columns":{"a":"1"},"decorations":{"path":"/tmp"},"path":"/tmp"}'
    expect(matches(line, { column: { name: 'path', value: '/tmp' } })).toBe(false)
  })

  it('goes with a text', () => {
    const line = '{"columns":{"path":"/tmp","user":"eve"}}'
    expect(matches(line, { column: { name: 'path', value: '/tmp' }, text: 'eve' })).toBe(true)
    expect(matches(line, { column: { name: 'path', value: '/tmp' }, text: 'bob' })).toBe(false)
  })
})

describe('a text', () => {
  it.each([
    ['in any value', '{"columns":{"cmd":"Powershell.exe -enc"}}', 'powershell.EXE', true],
    ['with what JSON escapes', String.raw`{"columns":{"path":"C:\\Windows\\cmd.exe"}}`, 'C:\\Windows', true],
    ['that the agent escaped more than it had to', String.raw`{"a":"\u0063md"}`, 'cmd', true],
    ['in a name', '{"columns":{"sha256":"x"}}', 'sha256', true],
    ['not in the line', '{"columns":{"a":"b"}}', 'c"', false],
    ['of more than ASCII', '{"a":"Grüße"}', 'GRÜSSE', false],
    ['of more than ASCII, other case', '{"a":"GRÜN"}', 'grün', true],
  ])('%s', (_what, line, text, expected) => {
    expect(matches(line, { text })).toBe(expected)
  })

  it('of a line that is no UTF-8 is found where it is', () => {
    const line = new Uint8Array([...utf8('{"a":"cmd '), 0xff, ...utf8('"}')])
    const wants = lineMatcher({ ...NOTHING, text: 'cmd' })
    expect(wants({ header: HEADER, line })).toBe(true)
  })
})

describe('the types that a choice stands for', () => {
  it.each<[LineChoice | null, string[]]>([
    [null, ['result', 'snapshot', 'status']],
    ['result', ['result', 'snapshot']],
    ['query', ['query']],
    ['all', ['result', 'snapshot', 'status', 'query', 'audit']],
  ])('%s: %j', (choice, types) => {
    expect(typesOf(choice)).toEqual(types)
  })
})
