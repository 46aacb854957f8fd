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
