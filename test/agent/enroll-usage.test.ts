/** One call a minute and isolate while enrolls come, and the rest when they end. */

import { describe, expect, it } from 'vitest'
import { EnrollUsage, type UsageRequest } from '../../src/agent/enroll-usage.ts'
import type { EnrollCount } from '../../src/snapshot/enroll-counts.ts'

const START = Date.UTC(2026, 10, 22)

/** An isolate with a clock of its own, and the calls that it makes. */
function isolate({ away = false } = {}) {
  let nowMs = START
  let waiting: { atMs: number; wake: () => void }[] = []
  const calls: { atMs: number; counts: EnrollCount[] }[] = []
  const work: Promise<unknown>[] = []
  const noteEnrolls = (counts: EnrollCount[]) => {
    calls.push({ atMs: nowMs - START, counts })
    return away ? Promise.reject(new Error('away')) : Promise.resolve()
  }
  const request = {
    env: { DIRECTORY: { getByName: () => ({ noteEnrolls }) } },
    waitUntil: (promise: Promise<unknown>) => work.push(promise),
  } as unknown as UsageRequest
  const usage = new EnrollUsage({
    nowMs: () => nowMs,
    wait: (ms) => new Promise((wake) => waiting.push({ atMs: nowMs + ms, wake })),
  })
  return {
    calls,
    note: (outcome = 'enrolled', secretId = 's', environmentId = 'e') =>
      usage.note(request, environmentId, secretId, outcome),
    /** Lets time pass, second by second. */
    pass: async (seconds: number) => {
      for (let i = 0; i < seconds; i += 1) {
        nowMs += 1_000
        for (const { wake } of waiting.filter(({ atMs }) => atMs <= nowMs)) wake()
        waiting = waiting.filter(({ atMs }) => atMs > nowMs)
        await Promise.resolve().then(() => undefined)
      }
    },
    counted: () => calls.flatMap(({ counts }) => counts).reduce((all, { count }) => all + count, 0),
    settled: () => Promise.all(work),
  }
}

describe('counting enrolls', () => {
  it('tells the first at once', () => {
    const { note, calls } = isolate()
    note()
    expect(calls).toEqual([
      {
        atMs: 0,
        counts: [
          {
            minute: START / 60_000,
            environmentId: 'e',
            secretId: 's',
            outcome: 'enrolled',
            count: 1,
            lastAtMs: START,
          },
        ],
      },
    ])
  })

  it('then once a minute, however many come, and loses none', async () => {
    const { note, pass, calls, counted } = isolate()
    for (let second = 0; second < 600; second += 1) {
      for (let i = 0; i < 10; i += 1) note()
      await pass(1)
    }
    expect(calls.map(({ atMs }) => atMs / 1_000)).toEqual([0, 60, 120, 180, 240, 300, 360, 420, 480, 540])
    await pass(60)
    expect(counted()).toBe(6_000)
    expect(calls).toHaveLength(11)
  })

  it('tells the last ones when it has been quiet, in time before Workers would end the wait', async () => {
    const { note, pass, calls, counted } = isolate()
    note()
    await pass(2)
    note('wrong-secret', '', '')
    await pass(24)
    expect(calls).toHaveLength(1)
    await pass(1)
    expect(counted()).toBe(2)
  })

  it('keeps outcomes, secrets, environments and minutes apart', async () => {
    const { note, pass, calls } = isolate()
    note()
    note('quota')
    note('quota')
    note('wrong-secret', '', '')
    await pass(61)
    note('quota')
    await pass(25)
    expect(calls.flatMap(({ counts }) => counts).map(({ outcome, count }) => [outcome, count])).toEqual([
      ['enrolled', 1],
      ['quota', 2],
      ['wrong-secret', 1],
      ['quota', 1],
    ])
  })

  it('holds a bounded number of them, whatever comes', async () => {
    const { note, pass, calls } = isolate()
    note()
    for (let i = 0; i < 5_000; i += 1) note('enrolled', `s${i}`)
    await pass(61)
    note()
    expect(calls.at(-1)?.counts).toHaveLength(2_000)
  })

  it('fails nobody when the object is away', async () => {
    const { note, settled } = isolate({ away: true })
    note()
    await expect(settled()).resolves.toBeDefined()
  })
})
