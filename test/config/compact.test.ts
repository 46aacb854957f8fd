import { describe, expect, it } from 'vitest'
import { compactJson } from '../../src/config/compact.ts'

describe('compactJson', () => {
  it.each([
    ['{ "a" : [ 1 , 2 ] }', '{"a":[1,2]}'],
    ['\r\n\t{\n}\n', '{}'],
    ['{"b":1,"a":2,"10":3,"9":4}', '{"b":1,"a":2,"10":3,"9":4}'],
    ['{"n": 9007199254740993.000e2 }', '{"n":9007199254740993.000e2}'],
    ['{"q": "SELECT  1 ;\\n -- x" }', '{"q":"SELECT  1 ;\\n -- x"}'],
    ['{"q": "a\\" , \\\\" , "r" : "\\u0041 é" }', '{"q":"a\\" , \\\\","r":"\\u0041 é"}'],
    ['"\u00a0 \u2028"', '"\u00a0 \u2028"'],
    ['[]', '[]'],
  ])('turns %j into %j', (text, compact) => {
    expect(compactJson(text)).toBe(compact)
    expect(JSON.parse(compact)).toEqual(JSON.parse(text))
    expect(compactJson(compact)).toBe(compact)
  })

  it('goes through a megabyte of whitespace and of text', () => {
    const text = `{${' '.repeat(1_000_000)}"a": "${'x '.repeat(500_000)}"}`
    expect(compactJson(text)).toBe(`{"a":"${'x '.repeat(500_000)}"}`)
  })
})
