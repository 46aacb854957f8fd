/** When the alarm of a Sink object is set: decisions alone, no I/O. */

import { describe, expect, it } from 'vitest'
import { alarmBy, alarmInPlace } from '../../../src/logs/deliver/alarm.ts'

const NOW = 1_000_000

describe('an alarm by a time', () => {
  it('is set where there is none, or a later one', () => {
    expect(alarmBy(null, NOW + 500, NOW)).toBe(NOW + 500)
    expect(alarmBy(NOW + 900, NOW + 500, NOW)).toBe(NOW + 500)
  })

  it('is now where the time is past', () => {
    expect(alarmBy(NOW + 900, 0, NOW)).toBe(NOW)
  })

  it('leaves one that comes before', () => {
    expect(alarmBy(NOW + 100, NOW + 500, NOW)).toBe(null)
    expect(alarmBy(NOW - 1_000, NOW, NOW)).toBe(null)
  })

  it('replaces one that is lost', () => {
    expect(alarmBy(NOW - 60_000, NOW + 500, NOW)).toBe(NOW + 500)
  })
})

describe('a look at a sink', () => {
  it('leaves an alarm that is to come, or is only just late', () => {
    for (const setMs of [NOW + 60_000, NOW + 1, NOW - 1_000]) {
      for (const dueAtMs of [0, NOW + 30_000]) expect(alarmInPlace(setMs, dueAtMs, NOW)).toBe(null)
    }
  })

  it('never puts off what is due: a lost alarm is set when it is due, or now', () => {
    for (const setMs of [null, NOW - 60_000]) {
      expect(alarmInPlace(setMs, 0, NOW)).toBe(NOW)
      expect(alarmInPlace(setMs, NOW - 10_000, NOW)).toBe(NOW)
      expect(alarmInPlace(setMs, NOW + 200, NOW)).toBe(NOW + 200)
    }
  })
})
