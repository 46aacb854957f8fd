import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { Deadline, DeadlineExceeded } from '../../src/lib/deadline.ts'

beforeEach(() => void vi.useFakeTimers())
afterEach(() => void vi.useRealTimers())

const hung = (): Promise<never> => new Promise(() => undefined)

describe('Deadline', () => {
  it('counts down and never below zero', () => {
    const deadline = new Deadline(8_000, 1_000)
    expect([1_000, 5_000, 9_000, 20_000].map((nowMs) => deadline.remainingMs(nowMs))).toEqual([
      8_000, 4_000, 0, 0,
    ])
  })

  it('hands on the value or the failure of work that ends in time, and leaves no timer behind', async () => {
    const deadline = new Deadline(8_000)
    expect(await deadline.run(Promise.resolve(7))).toBe(7)
    await expect(deadline.run(Promise.reject(new Error('no such table')))).rejects.toThrow('no such table')
    expect(vi.getTimerCount()).toBe(0)
  })

  it.each([
    ['the deadline', 8_000, undefined, 8_000],
    ['the shorter limit of the call', 8_000, 1_000, 1_000],
    ['the deadline, when the limit of the call is longer', 500, 1_000, 500],
  ])('gives hung work up at %s', async (_name, timeoutMs, atMostMs, expectedMs) => {
    const startedAt = Date.now()
    const outcome = new Deadline(timeoutMs).run(hung(), atMostMs).catch((error: unknown) => error)
    await vi.runAllTimersAsync()
    expect(await outcome).toBeInstanceOf(DeadlineExceeded)
    expect(Date.now() - startedAt).toBe(expectedMs)
  })

  it('gives up each of several waits at its own time, with one timer', async () => {
    const startedAt = Date.now()
    const deadline = new Deadline(8_000)
    const ends: Record<string, number> = {}
    const wait = (name: string, atMostMs?: number) =>
      deadline.run(hung(), atMostMs).catch(() => {
        ends[name] = Date.now() - startedAt
      })
    const waits = [wait('all'), wait('object', 1_000), wait('queue', 2_500), wait('short', 300)]
    expect(vi.getTimerCount()).toBe(1)
    await vi.runAllTimersAsync()
    await Promise.all(waits)
    expect(ends).toEqual({ short: 300, object: 1_000, queue: 2_500, all: 8_000 })
  })

  it('keeps the time of a wait that began while another was under way', async () => {
    const startedAt = Date.now()
    const deadline = new Deadline(8_000)
    const all = deadline.run(hung()).catch(() => undefined)
    await vi.advanceTimersByTimeAsync(3_000)
    const short = deadline.run(hung(), 500).then(
      () => 0,
      () => Date.now() - startedAt,
    )
    await vi.advanceTimersByTimeAsync(1_000)
    expect(await short).toBe(3_500)
    await vi.runAllTimersAsync()
    await all
    expect(Date.now() - startedAt).toBe(8_000)
  })

  it('ends in time although the clock goes back meanwhile', async () => {
    const deadline = new Deadline(8_000)
    let isOver = false
    const outcome = deadline.run(hung()).catch(() => {
      isOver = true
    })
    vi.setSystemTime(Date.now() - 3_600_000)
    expect(deadline.remainingMs()).toBe(8_000)
    await vi.advanceTimersByTimeAsync(8_000)
    expect(isOver).toBe(true)
    await outcome
  })

  it('waits only for what is left, over several calls', async () => {
    const startedAt = Date.now()
    const deadline = new Deadline(1_000)
    await vi.advanceTimersByTimeAsync(700)
    const outcome = deadline.run(hung()).catch((error: unknown) => error)
    await vi.runAllTimersAsync()
    expect(await outcome).toBeInstanceOf(DeadlineExceeded)
    expect(Date.now() - startedAt).toBe(1_000)
  })

  it('does not care for work that fails after it was given up', async () => {
    const failsLate = new Promise<never>((_resolve, reject) => {
      setTimeout(() => reject(new Error('late')), 5_000)
    })
    const outcome = new Deadline(1_000).run(failsLate).catch((error: unknown) => error)
    // An unhandled rejection would fail this file.
    await vi.runAllTimersAsync()
    expect(await outcome).toBeInstanceOf(DeadlineExceeded)
  })
})
