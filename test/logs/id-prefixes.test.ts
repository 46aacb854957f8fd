import fc from 'fast-check'
import { expect, it } from 'vitest'
import { prefixesOf, PrefixSearch } from '../../src/logs/id-prefixes.ts'

it('are the first eight bytes of each id', () => {
  expect([...prefixesOf(['0102030405060708aabbccddeeff0011', 'fffefdfcfbfaf9f800'])]).toEqual([
    1, 2, 3, 4, 5, 6, 7, 8, 0xff, 0xfe, 0xfd, 0xfc, 0xfb, 0xfa, 0xf9, 0xf8,
  ])
})

it('are found where they are, by their place, and nowhere else', () => {
  // Words of few different values, so that halves and filter bits are often the same.
  const word = fc.constantFrom('00000000', '00010000', '00000001', 'ffff0000', 'ffffffff')
  const id = fc.oneof(
    fc.tuple(word, word).map((words) => words.join('')),
    fc.nat().map((n) => n.toString(16).padStart(16, 'a')),
  )
  fc.assert(
    fc.property(fc.uniqueArray(id, { maxLength: 30 }), fc.array(id, { maxLength: 60 }), (wanted, stored) => {
      const found = new PrefixSearch(prefixesOf(wanted)).find(prefixesOf(stored).buffer)
      const expected = wanted.flatMap((one, at) => (stored.includes(one) ? [at] : []))
      expect([...new Set(found)].toSorted((a, b) => a - b)).toEqual(expected)
    }),
  )
})
