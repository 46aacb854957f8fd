import { describe, expect, it } from 'vitest'
import { memberTexts } from '../../src/lib/json-members.ts'

describe('the members of an object', () => {
  it('are as they were written', () => {
    const text = ' {"a" : 1.0e2, "b":{"2":[1, 2],"1":"\\u00e9é"},"c":"x" , "a":null} '
    expect([...memberTexts(text)]).toEqual([
      ['a', 'null'],
      ['b', '{"2":[1, 2],"1":"\\u00e9é"}'],
      ['c', '"x"'],
    ])
  })

  it('are none in an empty object', () => {
    expect(memberTexts('{}').size).toBe(0)
  })
})
