import { expect, it } from 'vitest'
import { LineCounter } from './line-count.ts'

const ID_A = 'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa'
const ID_B = 'bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb'

it('counts each line once, and how often one came again', () => {
  const counter = new LineCounter(10, 3)
  counter.take(10, ID_A)
  counter.take(11, ID_B)
  counter.take(11, ID_B)
  expect(counter.count()).toEqual({
    lines: 2,
    missing: 1,
    again: 1,
    eventIds: 2,
    otherIds: 0,
    strangers: 0,
  })
})

it('a line under another event id is told, and so are two lines under one', () => {
  const counter = new LineCounter(0, 2)
  counter.take(0, ID_A)
  counter.take(1, ID_A)
  counter.take(1, ID_B)
  expect(counter.count()).toMatchObject({ lines: 2, eventIds: 1, otherIds: 1 })
})

it('lines that nobody sent are strangers', () => {
  const counter = new LineCounter(5, 1)
  counter.take(4, ID_A)
  counter.take(6, ID_A)
  expect(counter.count()).toMatchObject({ lines: 0, missing: 1, strangers: 2 })
})

it('two compare the ids of what both have seen', () => {
  const one = new LineCounter(0, 2)
  const other = new LineCounter(0, 2)
  one.take(0, ID_A)
  other.take(1, ID_B)
  expect(one.hasSameIdsAs(other)).toBe(true)
  other.take(0, ID_B)
  expect(one.hasSameIdsAs(other)).toBe(false)
})
