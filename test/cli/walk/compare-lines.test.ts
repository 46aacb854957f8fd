/** Specification: when the walk calls lines missing, doubled or foreign. */

import { describe, expect, it } from 'vitest'

import type { Line } from '../../../src/cli/walk/compare-lines.ts'
import { compareLines } from '../../../src/cli/walk/compare-lines.ts'

const result = (text: string): Line => ({ kind: 'result', text })
const status = (text: string): Line => ({ kind: 'status', text })
const NOTHING = { missing: [], doubled: [], foreign: [] }

describe('compareLines', () => {
  it('is content where every line is there once', () => {
    const lines = [result('{"a":1}'), status('{"a":1}')]
    expect(compareLines(lines, lines, lines.toReversed())).toEqual(NOTHING)
  })

  it('misses a line of another kind or with one other byte', () => {
    const sent = [result('{"a":1}')]
    const { missing, foreign } = compareLines(sent, sent, [status('{"a":1}'), result('{"a": 1}')])
    expect(missing).toEqual(sent)
    expect(foreign).toEqual([status('{"a":1}'), result('{"a": 1}')])
  })

  it('finds a line that is there twice', () => {
    const sent = [result('{}')]
    expect(compareLines(sent, sent, [...sent, ...sent])).toEqual({ ...NOTHING, doubled: sent })
  })

  it('takes a line that was sent twice and acknowledged once for one', () => {
    const line = result('{}')
    expect(compareLines([line], [line, line], [line])).toEqual(NOTHING)
    expect(compareLines([line], [line, line], [line, line]).doubled).toEqual([line])
  })

  it('lets equal lines become one or stay apart', () => {
    const twice = [result('{}'), result('{}')]
    expect(compareLines(twice, twice, twice)).toEqual(NOTHING)
    expect(compareLines(twice, twice, [result('{}')])).toEqual(NOTHING)
  })

  it('lets a line that was sent but not acknowledged be there or not, once', () => {
    const line = result('{}')
    expect(compareLines([], [line], [])).toEqual(NOTHING)
    expect(compareLines([], [line], [line])).toEqual(NOTHING)
    expect(compareLines([], [line], [line, line]).doubled).toEqual([line])
  })
})
