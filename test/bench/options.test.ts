import { describe, expect, it } from 'vitest'
import { BENCHES, parseBenchOptions } from './options.ts'

describe('the arguments', () => {
  it('none: every benchmark, in full, with 1, 100 and 1,000 isolates', () => {
    expect(parseBenchOptions([])).toEqual({
      benches: BENCHES,
      short: false,
      json: null,
      isolates: [1, 100, 1_000],
    })
  })

  it('name what is run, in that order', () => {
    expect(parseBenchOptions(['storm', 'floor', '--short', '--json', 'out.json'])).toMatchObject({
      benches: ['storm', 'floor'],
      short: true,
      json: 'out.json',
    })
  })

  it('--isolates N is that number alone', () => {
    expect(parseBenchOptions(['meter', '--isolates', '100'])?.isolates).toEqual([100])
  })

  it.each([['nothing-such'], ['--isolates', '0'], ['--isolates', 'many'], ['--fast']])(
    '%j is refused',
    (...args) => {
      expect(() => parseBenchOptions(args)).toThrow()
    },
  )

  it('--help asks for the usage', () => {
    expect(parseBenchOptions(['--help'])).toBeUndefined()
  })
})
