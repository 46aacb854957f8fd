import { describe, expect, it } from 'vitest'
import { Recent } from '../../src/lib/recent.ts'

describe('a bounded memory', () => {
  it('gives back what it was told last', () => {
    const recent = new Recent<number>(2)
    recent.set('a', 1)
    recent.set('a', 2)
    expect([recent.get('a'), recent.get('b')]).toEqual([2, undefined])
  })

  it('keeps what is asked for, and forgets what nobody asks for', () => {
    const recent = new Recent<number>(2)
    recent.set('asked', 0)
    recent.set('idle', 0)
    for (let i = 0; i < 20; i += 1) {
      recent.set(`new-${i}`, i)
      expect(recent.get('asked')).toBe(0)
    }
    expect(recent.get('idle')).toBeUndefined()
  })

  it('never holds more than twice a generation', () => {
    const recent = new Recent<number>(10)
    for (let i = 0; i < 1_000; i += 1) recent.set(String(i), i)
    const kept = Array.from({ length: 980 }, (_, i) => recent.get(String(i))).filter(
      (value) => value !== undefined,
    )
    expect(kept).toEqual([])
  })

  it('takes a value that is set again for one', () => {
    const recent = new Recent<number>(2)
    recent.set('a', 1)
    for (let i = 0; i < 10; i += 1) recent.set('b', i)
    expect([recent.get('a'), recent.get('b')]).toEqual([1, 9])
  })
})
