import { describe, expect, it } from 'vitest'
import { BlockReader } from '../../src/carves/block-reader.ts'
import { concatBytes, utf8 } from '../../src/lib/bytes.ts'

/** Reads a body in chunks of `size` bytes. */
function read(body: string, size = body.length) {
  const reader = new BlockReader()
  const bytes = utf8(body)
  const pieces: Uint8Array[] = []
  for (let at = 0; at < bytes.length; at += Math.max(size, 1)) {
    reader.push(bytes.slice(at, at + Math.max(size, 1)))
    pieces.push(...reader.takePieces())
  }
  reader.end()
  return { fault: reader.fault, members: reader.members, data: Buffer.from(concatBytes(pieces)).toString() }
}

describe('the body of a carve block', () => {
  const members = { block_id: 7, session_id: 'oec1-abc', request_id: 'r' }

  it('is read whatever its order of members and wherever it is cut', () => {
    const text = JSON.stringify({ ...members, data: Buffer.from('hello, block').toString('base64') })
    const turned = `{"data":"aGVsbG8sIGJsb2Nr", ${text.slice(1, text.indexOf(',"data"'))}}`
    for (const body of [text, turned]) {
      for (let size = 1; size <= body.length; size += 1)
        expect(read(body, size)).toEqual({ fault: null, members, data: 'hello, block' })
    }
  })

  it('may have its slashes escaped, as the JSON writer of agents before 3.2.0 does', () => {
    const body = String.raw`{"block_id":"7","session_id":"s","request_id":"","data":"\/\/8\u002f\u002B\/=="}`
    for (let size = 1; size <= body.length; size += 1) {
      const { fault, members: seen, data } = read(body, size)
      expect([fault, seen, data]).toEqual([
        null,
        { block_id: '7', session_id: 's', request_id: '' },
        Buffer.from('//8/+/==', 'base64').toString(),
      ])
    }
  })

  it('ignores members that it does not know', () => {
    expect(read('{"x":{"data":"!"},"block_id":1,"data":"","y":[1]}')).toMatchObject({
      fault: null,
      members: { block_id: 1 },
    })
  })

  it.each([
    '',
    '{}',
    '[]',
    '"x"',
    '7',
    '{"data":7}',
    '{"data":null}',
    '{"data":["Zg=="]}',
    '{"data":"Zg"}',
    '{"data":"Zg==","data":"Zg=="}',
    '{"block_id":1,"block_id":2,"data":"Zg=="}',
    '{"data":"Zg=="',
    '{"data":"Zg=="}x',
    String.raw`{"data":"Zg==\n"}`,
    String.raw`{"data":"Zg\u00e9="}`,
    String.raw`{"data":"Zg=\""}`,
    `{"session_id":"${'x'.repeat(3_000)}","data":"Zg=="}`,
  ])('is refused as %s', (body) => {
    for (const size of [1, 2, 3, 5, body.length]) expect(read(body, size).fault).not.toBeNull()
  })
})
