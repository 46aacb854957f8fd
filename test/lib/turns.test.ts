import { expect, it } from 'vitest'
import { Turns } from '../../src/lib/turns.ts'

const soon = () => new Promise((resolve) => setTimeout(resolve, 1))

it('runs one piece of work after the other, in the order of coming', async () => {
  const turns = new Turns()
  const steps: string[] = []
  const work = (name: string) => async () => {
    steps.push(`${name} begins`)
    await soon()
    steps.push(`${name} ends`)
    return name
  }
  const results = await Promise.all([turns.run(work('a')), turns.run(work('b')), turns.run(work('c'))])
  expect(results).toEqual(['a', 'b', 'c'])
  expect(steps).toEqual(['a begins', 'a ends', 'b begins', 'b ends', 'c begins', 'c ends'])
})

it('tells a failure to whom it belongs, and goes on', async () => {
  const turns = new Turns()
  const failed = turns.run(() => Promise.reject(new Error('D1 is away')))
  const next = turns.run(() => Promise.resolve('next'))
  await expect(failed).rejects.toThrow('D1 is away')
  expect(await next).toBe('next')
  expect(await turns.run(() => Promise.resolve('later'))).toBe('later')
})
