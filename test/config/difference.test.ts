import { describe, expect, it } from 'vitest'
import { differenceOf } from '../../src/config/difference.ts'

describe('the difference of two documents', () => {
  it('names what was added, changed and removed, at the deepest member', () => {
    const before = { schedule: { a: { query: 'x', interval: 60 }, b: { query: 'y' } }, views: {} }
    const after = {
      schedule: { a: { query: 'x', interval: 90 }, 'c/d': { query: 'z' } },
      options: { utc: true },
    }
    expect(differenceOf(before, after)).toEqual([
      { pointer: '/schedule/a/interval', change: 'changed', before: 60, after: 90 },
      { pointer: '/schedule/c~1d', change: 'added', after: { query: 'z' } },
      { pointer: '/schedule/b', change: 'removed', before: { query: 'y' } },
      { pointer: '/options', change: 'added', after: { utc: true } },
      { pointer: '/views', change: 'removed', before: {} },
    ])
  })

  it('takes lists as a whole, and one kind of value in place of another', () => {
    const before = { file_accesses: ['a'], packs: { p: {} } }
    expect(differenceOf(before, { file_accesses: ['a', 'b'], packs: { p: 'path' } })).toEqual([
      { pointer: '/file_accesses', change: 'changed', before: ['a'], after: ['a', 'b'] },
      { pointer: '/packs/p', change: 'changed', before: {}, after: 'path' },
    ])
  })

  it('is empty for equal documents, however their members are ordered', () => {
    expect(differenceOf({ a: 1, b: { c: [] } }, { b: { c: [] }, a: 1 })).toEqual([])
  })
})
