import { describe, expect, it } from 'vitest'
import {
  isPlatformFamily,
  platformFamilyCode,
  platformFamilyOf,
  platformFamilyOfCode,
} from '../../src/fleet/platform.ts'

describe('the family of an enrolling agent', () => {
  // Spec 2.1: POSIX 1, Windows 2, BSD 4, Linux 8, macOS 16, FreeBSD 32.
  it.each([
    ['2', 'windows'],
    ['9', 'linux'],
    ['21', 'darwin'],
    ['37', 'freebsd'],
    ['8', 'linux'],
    ['0', 'unknown'],
    ['1', 'unknown'],
    ['', 'unknown'],
    ['-2', 'unknown'],
    ['0x2', 'unknown'],
    ['linux', 'unknown'],
    ['1000', 'unknown'],
  ])('by the mask %j alone is %s', (mask, family) => {
    expect(platformFamilyOf(mask, ['', ''])).toBe(family)
  })

  it.each([
    [['darwin', ''], 'darwin'],
    [['windows', 'windows'], 'windows'],
    [['', 'freebsd'], 'freebsd'],
    [['ubuntu', 'linux'], 'linux'],
    [['rhel', ''], 'linux'],
    [['', ''], 'unknown'],
    [[], 'unknown'],
  ])('without a mask, by the names %j, is %s', (names, family) => {
    expect(platformFamilyOf('', names)).toBe(family)
  })

  it('is what the mask says, whatever the names say', () => {
    expect(platformFamilyOf('2', ['darwin', 'darwin'])).toBe('windows')
  })
})

describe('the code inside node keys', () => {
  it('of each family never changes: agents hold keys with it', () => {
    const codes = (['unknown', 'linux', 'darwin', 'windows', 'freebsd'] as const).map(platformFamilyCode)
    expect(codes).toEqual([0, 1, 2, 3, 4])
    expect(codes.map(platformFamilyOfCode)).toEqual(['unknown', 'linux', 'darwin', 'windows', 'freebsd'])
  })

  it('that a newer Worker wrote is unknown', () => {
    expect(platformFamilyOfCode(5)).toBe('unknown')
    expect(platformFamilyOfCode(255)).toBe('unknown')
  })
})

it('knows the families that operators may target', () => {
  expect(['linux', 'unknown'].map(isPlatformFamily)).toEqual([true, true])
  expect(['ubuntu', 'Linux', '', 'posix'].map(isPlatformFamily)).toEqual([false, false, false, false])
})
