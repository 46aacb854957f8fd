import { describe, expect, it } from 'vitest'
import { readVersionRange } from '../../src/fleet/version-range.ts'

const VERSIONS = ['4.9.0', '5.9.1', '5.10.0', '5.10.2', '5.12.1-dirty', '5.23.1']

describe('a version range', () => {
  it.each([
    ['5.10', ['5.10.0', '5.10.2']],
    ['=5.10.2', ['5.10.2']],
    ['>=5.10', ['5.10.0', '5.10.2', '5.12.1-dirty', '5.23.1']],
    ['> 5.10', ['5.12.1-dirty', '5.23.1']],
    ['<5.10', ['4.9.0', '5.9.1']],
    ['<=5.10', ['4.9.0', '5.9.1', '5.10.0', '5.10.2']],
    ['5', ['5.9.1', '5.10.0', '5.10.2', '5.12.1-dirty', '5.23.1']],
    ['5.12.1', ['5.12.1-dirty']],
    ['>=6', []],
  ])('%s means %j', (range, meant) => {
    const isMeant = readVersionRange(range)
    expect(VERSIONS.filter((version) => isMeant?.(version))).toEqual(meant)
  })

  it.each(['', '>=', '5.', 'v5.1', '5.10 || 4', '~5.1', '5.1.2.3.4', '=>5'])('is not %j', (text) => {
    expect(readVersionRange(text)).toBeNull()
  })

  it('leaves out what is no version', () => {
    expect(readVersionRange('>=0')?.('')).toBe(false)
    expect(readVersionRange('>=0')?.('unknown')).toBe(false)
  })
})
