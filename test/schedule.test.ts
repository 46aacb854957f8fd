import { afterEach, expect, it, vi } from 'vitest'
import { DUTY_WITHIN_MS, runSchedule } from '../src/schedule.ts'

afterEach(() => {
  vi.useRealTimers()
  vi.restoreAllMocks()
})

it('goes on to the next duty where a binding hangs', async () => {
  vi.useFakeTimers()
  const logged = vi.spyOn(console, 'error').mockImplementation(() => undefined)
  const hangs = () => new Promise(() => undefined)
  const statement = { bind: () => statement, all: hangs, first: hangs, run: hangs, raw: hangs }
  const list = vi.fn(hangs)
  const env = { DB: { prepare: () => statement, batch: hangs }, ARCHIVE: { list } } as unknown as Env
  let isOver = false
  const run = runSchedule(env, {} as ExecutionContext, Date.now()).then(() => (isOver = true))
  await vi.advanceTimersByTimeAsync(DUTY_WITHIN_MS - 1)
  expect(list).not.toHaveBeenCalled()
  await vi.advanceTimersByTimeAsync(1)
  expect(list).toHaveBeenCalled()
  while (!isOver) await vi.advanceTimersByTimeAsync(DUTY_WITHIN_MS)
  await run
  expect(logged.mock.calls.flat().join()).toContain('"duty":"publish-enroll-tags"')
})
