import { describe, expect, it } from 'vitest'
import { goal, goalTable, holds, lastLine, rounded, table } from './report.ts'

const counted = (value: number) => goal('calls', value, 'a request', '<=', 1, true)
const told = (value: number) => goal('share of the floor', value, '', '>=', 0.6, false)

describe('goals', () => {
  it('are met at their limit, in their direction', () => {
    expect([counted(1).ok, counted(1.01).ok]).toEqual([true, false])
    expect([told(0.6).ok, told(0.59).ok]).toEqual([true, false])
  })

  it('that are counted decide; measured times are told and never do', () => {
    expect(holds({ bench: 'meter', goals: [counted(1), told(0.1)], details: null })).toBe(true)
    expect(holds({ bench: 'meter', goals: [counted(2), told(0.9)], details: null })).toBe(false)
  })

  it('that have no value are missed', () => {
    expect(holds({ bench: 'meter', goals: [counted(Number.NaN)], details: null })).toBe(false)
  })

  it('say in the table whether they are met and whether they decide', () => {
    const [, , first = '', second = ''] = goalTable([counted(2), told(0.7)]).split('\n')
    expect(first).toMatch(/calls +2 a request +<= 1 +MISSED$/)
    expect(second).toMatch(/met +told only$/)
  })
})

describe('the last line', () => {
  it('is one JSON object with every goal', () => {
    const line = lastLine({ bench: 'slope', goals: [counted(0.98765), told(0.5)], details: { secret: 1 } })
    expect(line).not.toContain('\n')
    expect(JSON.parse(line)).toEqual({
      bench: 'slope',
      ok: true,
      goals: [
        { name: 'calls', value: 0.988, unit: 'a request', goal: '<= 1', ok: true },
        { name: 'share of the floor', value: 0.5, unit: '', goal: '>= 0.6', ok: false },
      ],
    })
  })
})

describe('figures', () => {
  it.each([
    [3_194.4, 3_194],
    [30.449, 30.4],
    [0.012345, 0.0123],
  ])('of %j are told as %j', (value, shown) => {
    expect(rounded(value)).toBe(shown)
  })

  it('stand in columns: the first to the left, the others to the right', () => {
    expect(
      table(
        ['a', 'b'],
        [
          ['long', '1'],
          ['x', '22'],
        ],
      ),
    ).toBe('a      b\n----  --\nlong   1\nx     22')
  })
})
