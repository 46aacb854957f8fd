import { expect, it } from 'vitest'
import { PartCache } from '../../src/snapshot/part-cache.ts'

const MIB = 1_024 * 1_024
const part = (bytes: number) => new Uint8Array(bytes)

function cacheOf(parts: Record<string, number>): PartCache {
  const cache = new PartCache()
  for (const [hash, bytes] of Object.entries(parts)) cache.set(hash, part(bytes))
  return cache
}

/** Those of the one-letter hashes that are there. Asking uses them. */
function held(cache: PartCache, hashes: string): string {
  return hashes.replace(/./g, (hash) => (cache.get(hash) === undefined ? '' : hash))
}

it('keeps parts as they are', () => {
  const cache = new PartCache()
  const bytes = new Uint8Array([1, 2])
  cache.set('a', bytes)
  expect([cache.get('a'), cache.get('b')]).toEqual([bytes, undefined])
})

it('holds 32 MiB (design 4), the oldest go first', () => {
  expect(held(cacheOf({ a: 12 * MIB, b: 12 * MIB, c: 8 * MIB }), 'abc')).toBe('abc')
  expect(held(cacheOf({ a: 12 * MIB, b: 12 * MIB, c: 8 * MIB, d: 1 }), 'abcd')).toBe('bcd')
  expect(held(cacheOf({ a: 12 * MIB, b: 12 * MIB, c: 8 * MIB, d: 24 * MIB }), 'abcd')).toBe('cd')
})

it('counts a use: what is asked for stays', () => {
  const cache = cacheOf({ a: 12 * MIB, b: 12 * MIB, c: 8 * MIB })
  cache.get('a')
  cache.set('d', part(1))
  expect(held(cache, 'abcd')).toBe('acd')
})

it('counts a part once, however often it is put in', () => {
  const cache = cacheOf({ a: 12 * MIB })
  for (let i = 0; i < 5; i += 1) cache.set('a', part(12 * MIB))
  cache.set('b', part(20 * MIB))
  expect(held(cache, 'ab')).toBe('ab')
})

it('does not throw everything out for a part that will never fit', () => {
  const cache = cacheOf({ a: 1, b: 33 * MIB })
  expect(held(cache, 'ab')).toBe('a')
})

it('holds as much as it was made for', () => {
  const cache = new PartCache(2 * MIB)
  cache.set('a', part(MIB))
  cache.set('b', part(MIB))
  cache.set('c', part(MIB))
  expect(held(cache, 'abc')).toBe('bc')
  expect([cache.fits(1), new PartCache(1).fits(1)]).toEqual([false, true])
})
