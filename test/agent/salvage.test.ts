import { describe, expect, it } from 'vitest'
import { salvageNodeKey } from '../../src/agent/salvage.ts'
import { concatBytes, utf8 } from '../../src/lib/bytes.ts'

describe('salvageNodeKey', () => {
  it.each([
    ['a body that breaks off', '{"node_key":"oen1-AB_c-9","data":[{"a":', 'oen1-AB_c-9'],
    ['spaces around the colon', '{ "node_key" \t:\n "k" , oops', 'k'],
    [
      'the last of several: a line may quote an older one',
      '{"data":[{"x":"\\"node_key\\":\\"no\\""}],"node_key":"a","node_key":"b"',
      'b',
    ],
    ['no key', '{"data":[', ''],
    ['an empty key', '{"node_key":""', ''],
    ['a key that is no text', '{"node_key":12', ''],
    ['a key that is not closed', '{"node_key":"oen1-AB', ''],
    ['a key of another alphabet', '{"node_key":"a b"', ''],
    ['a key longer than any of ours', `{"node_key":"${'a'.repeat(201)}"`, ''],
    ['an empty body', '', ''],
  ])('%s', (_name, body, key) => {
    expect(salvageNodeKey(utf8(body))).toBe(key)
  })

  it('finds the key among bytes that are not UTF-8', () => {
    const body = concatBytes([
      new Uint8Array([0xff, 0xc3, 0x00]),
      utf8('"node_key":"k1"'),
      new Uint8Array([0xfe]),
    ])
    expect(salvageNodeKey(body)).toBe('k1')
  })
})
