import { expect, it } from 'vitest'
import { isObject, objectOfText, valueOfText } from '../../src/lib/json-value.ts'

it.each(['', '{', 'undefined', '{"a":1}x', '['.repeat(1_000_000)])('%.20s is no value', (text) => {
  expect([valueOfText(text), objectOfText(text)]).toEqual([undefined, null])
})

it.each(['null', '1', '"a"', '[]', '[{}]'])('%s is a value, and no object', (text) => {
  expect([valueOfText(text), objectOfText(text)]).toEqual([JSON.parse(text), null])
  expect(isObject(JSON.parse(text))).toBe(false)
})

it('an object is one', () => {
  expect(objectOfText(' {"a":[1]} ')).toEqual({ a: [1] })
})
