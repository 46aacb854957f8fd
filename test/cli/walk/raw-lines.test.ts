/** Specification: the walk compares lines as they are written on the wire. */

import { expect, it } from 'vitest'

import { rawLines } from '../../../src/cli/walk/raw-lines.ts'
import { concatBytes, utf8 } from '../../../src/lib/bytes.ts'

it('gives each line as it is written', () => {
  const line = String.raw`{"b":1, "a":18446744073709551615,"text":"\u005a\/","line":{"line":2}}`
  const page = `{"items":[{"eventId":"1","line":${line}},{"name":"x"},{"line":{}}],"nextCursor":"line"}`
  expect([...rawLines(utf8(page))]).toEqual([
    [0, line],
    [2, '{}'],
  ])
})

it('gives nothing for a page without items', () => {
  expect(rawLines(utf8('{"items":[],"nextCursor":null}')).size).toBe(0)
})

it('leaves out a line that is not UTF-8', () => {
  const page = concatBytes([utf8('{"items":[{"line":"'), new Uint8Array([0xff]), utf8('"}]}')])
  expect(rawLines(page).size).toBe(0)
})

it('refuses what is no JSON', () => {
  expect(() => rawLines(utf8('{"items":['))).toThrow('no JSON')
})
