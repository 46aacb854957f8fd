import { afterEach, expect, it, vi } from 'vitest'
import { runDuties } from '../../src/lib/duties.ts'

afterEach(() => vi.restoreAllMocks())

it('does the rest where one fails or hangs, and says so', async () => {
  const logged = vi.spyOn(console, 'error').mockImplementation(() => undefined)
  const done: string[] = []
  const duties = [
    async () => void done.push('first'),
    () => Promise.reject(new Error('away')),
    () => new Promise(() => undefined),
    async () => void done.push('last'),
  ]
  expect(await runDuties('alarm', duties, 10)).toBe(false)
  expect(done).toEqual(['first', 'last'])
  expect(logged).toHaveBeenCalledTimes(2)
  expect(await runDuties('alarm', duties.slice(0, 1))).toBe(true)
})
