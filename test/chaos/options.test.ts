import { describe, expect, it } from 'vitest'
import { parseChaosOptions } from './options.ts'

describe('the arguments of npm run chaos', () => {
  it('are ten minutes of seed 7 where nothing is said', () => {
    expect(parseChaosOptions([])).toMatchObject({
      minutes: 10,
      seed: '7',
      scenario: 'faults',
      sabotage: undefined,
    })
  })

  it('are a minute with --short, unless said otherwise', () => {
    expect(parseChaosOptions(['--short'])?.minutes).toBe(1)
    expect(parseChaosOptions(['--short', '--minutes', '2'])?.minutes).toBe(2)
  })

  it('ask for help', () => {
    expect(parseChaosOptions(['--help'])).toBeUndefined()
  })

  it.each([
    [['--minutes', '0'], '--minutes'],
    [['--minutes', 'soon'], '--minutes'],
    [['--nodes', '-1'], '--nodes'],
    [['--sabotage', 'nothing'], '--sabotage'],
    [['--scenario', 'nothing'], '--scenario'],
    [['--prove', '--sabotage', 'ack-first'], '--prove'],
    [['--fast'], '--fast'],
  ])('%j make no sense, and are told by name', (args, named) => {
    expect(() => parseChaosOptions(args)).toThrow(named)
  })
})
