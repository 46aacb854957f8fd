import { describe, expect, it } from 'vitest'
import { difference, differentialLines, snapshotLines } from '../../src/simulator/result-lines.ts'
import { DEFAULT_FLAGS } from '../../src/simulator/settings.ts'
import { calendarTime } from '../../src/simulator/tables-system.ts'

const timeMs = Date.UTC(2026, 8, 8, 17, 37, 30)
const execution = {
  name: 'users',
  hostIdentifier: 'web-17',
  timeMs,
  epoch: 0,
  decorations: { host_uuid: 'u' },
}
const common =
  '"name":"users","hostIdentifier":"web-17","calendarTime":"Tue Sep  8 17:37:30 2026 UTC","unixTime":1788889050,"epoch":0,'
const run = (rows: Record<string, string>[], last?: Parameters<typeof differentialLines>[3], flags = {}) =>
  differentialLines(execution, 'select', rows, last, true, { ...DEFAULT_FLAGS, ...flags })

describe('differential lines (specification 4.1, 4.2)', () => {
  it('look like those of a real agent', () => {
    expect(run([{ uid: '0', username: 'root' }]).lines).toEqual([
      `{${common}"counter":0,"numerics":false,"decorations":{"host_uuid":"u"},"columns":{"uid":"0","username":"root"},"action":"added"}`,
    ])
  })

  it('report every row first, then only changes, removed before added, with a counter per change', () => {
    const first = run([{ a: '1' }, { a: '2' }])
    const same = run([{ a: '2' }, { a: '1' }], first.remembered)
    const changed = run([{ a: '2' }, { a: '3' }], same.remembered)
    expect(first.lines.map((line) => JSON.parse(line))).toMatchObject([
      { action: 'added', columns: { a: '1' }, counter: 0 },
      { action: 'added', columns: { a: '2' }, counter: 0 },
    ])
    expect(same.lines).toEqual([])
    expect(changed.lines.map((line) => JSON.parse(line))).toMatchObject([
      { action: 'removed', columns: { a: '1' }, counter: 1 },
      { action: 'added', columns: { a: '3' }, counter: 1 },
    ])
  })

  it('start anew with another epoch', () => {
    const { remembered } = run([{ a: '1' }])
    expect(run([{ a: '1' }], { ...remembered, epoch: 7 }).lines).toHaveLength(1)
  })

  it('of another SQL under the same name differ from the rows of the old one', () => {
    const { remembered } = run([{ a: '1' }, { a: '2' }])
    const changed = run([{ a: '2' }, { b: '3' }], { ...remembered, sql: 'other', counter: 5 })
    expect(changed.lines.map((line) => JSON.parse(line))).toMatchObject([
      { action: 'removed', columns: { a: '1' }, counter: 0 },
      { action: 'added', columns: { b: '3' }, counter: 0 },
    ])
  })

  it('leave out removed rows when the query says so', () => {
    const { remembered } = run([{ a: '1' }])
    const later = differentialLines(execution, 'select', [{ a: '2' }], remembered, false, DEFAULT_FLAGS)
    expect(later.lines.map((line) => JSON.parse(line).action)).toEqual(['added'])
  })

  it('escape control characters, and leave unicode alone', () => {
    const [line = ''] = run([{ a: 'é\n\t\u0001"' }]).lines
    expect(JSON.parse(line).columns.a).toBe(String.raw`é\x0A\x09\x01"`)
  })

  it('come as one line per run with logger_event_type off, even for a first run without rows', () => {
    const { lines } = run([], undefined, { logger_event_type: 'false' })
    expect(lines).toEqual([
      `{"diffResults":{"removed":[],"added":[]},${common}"counter":0,"numerics":false,"decorations":{"host_uuid":"u"}}`,
    ])
  })

  it('carry decorations at the top level if asked to', () => {
    const [line = ''] = run([{ a: '1' }], undefined, { decorations_top_level: 'true' }).lines
    expect(JSON.parse(line)).toMatchObject({ host_uuid: 'u' })
    expect(JSON.parse(line)).not.toHaveProperty('decorations')
  })
})

describe('snapshot lines', () => {
  it('carry all rows, none too, and the counter 0', () => {
    const bare = { ...execution, decorations: {} }
    expect(snapshotLines(bare, [], DEFAULT_FLAGS)).toEqual([
      `{"snapshot":[],"action":"snapshot",${common}"counter":0,"numerics":false}`,
    ])
  })

  it('come as one line per row with logger_snapshot_event_type', () => {
    const flags = { ...DEFAULT_FLAGS, logger_snapshot_event_type: 'true' }
    expect(
      snapshotLines(execution, [{ a: '1' }, { a: '2' }], flags).map((line) => JSON.parse(line)),
    ).toMatchObject([
      { columns: { a: '1' }, action: 'snapshot' },
      { columns: { a: '2' }, action: 'snapshot' },
    ])
    expect(snapshotLines(execution, [], flags)).toEqual([])
  })
})

it('compares results as multisets', () => {
  const [one, two] = [{ a: '1' }, { a: '2' }]
  expect(difference([one, one], [one])).toEqual({ added: [], removed: [one] })
  expect(difference([one], [one, one, two])).toEqual({ added: [one, two], removed: [] })
})

it('writes the time as asctime does, the day padded with a space', () => {
  expect(calendarTime(Date.UTC(2026, 10, 21, 23, 3, 31))).toBe('Sat Nov 21 23:03:31 2026 UTC')
})
