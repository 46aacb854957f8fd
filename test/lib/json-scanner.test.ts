import { describe, expect, it } from 'vitest'
import { textOf, utf8, type Bytes } from '../../src/lib/bytes.ts'
import { JsonScanner, type JsonPath, type JsonVisitor } from '../../src/lib/json-scanner.ts'

/** Captures every member at depth one and every element at depth two. */
function collector() {
  const found: [string, string | null][] = []
  const visitor: JsonVisitor = {
    enter: (path, kind) =>
      path.length === 0 || (path.length === 1 && (kind === 'array' || kind === 'object'))
        ? 'descend'
        : { maxBytes: 1_000 },
    captured: (path: JsonPath, value) => {
      found.push([path.join('/'), value.bytes === null ? null : textOf(value.bytes)])
    },
  }
  return { found, scanner: new JsonScanner(visitor) }
}

function scan(text: string | Bytes, chunkBytes: number) {
  const bytes = typeof text === 'string' ? utf8(text) : text
  const { found, scanner } = collector()
  for (let i = 0; i < bytes.length; i += chunkBytes) scanner.push(bytes.slice(i, i + chunkBytes))
  return { found, fault: scanner.end() }
}

const SAMPLE =
  '{"data": [{"a":[1,{"b":"]}"}]}, 12.5e+3 ,"x\\"y",null ,[] ], "node_key":"k\\u0041" ,"e":{},"n":-0}'

describe('JsonScanner', () => {
  it.each([1, 2, 3, 7, 1_000])(
    'captures values as they were written, in chunks of %i bytes',
    (chunkBytes) => {
      const { found, fault } = scan(SAMPLE, chunkBytes)
      expect(fault).toBeNull()
      expect(found).toEqual([
        ['data/0', '{"a":[1,{"b":"]}"}]}'],
        ['data/1', '12.5e+3'],
        ['data/2', '"x\\"y"'],
        ['data/3', 'null'],
        ['data/4', '[]'],
        ['node_key', '"k\\u0041"'],
        ['n', '-0'],
      ])
    },
  )

  it('unescapes member names', () => {
    expect(scan('{"a\\u0062\\n":1}', 1).found).toEqual([['ab\n', '1']])
  })

  it('goes on past member names that are too long to keep, wherever they are cut', () => {
    const name = '\\u0041'.repeat(1_000)
    for (const chunkBytes of [5, 7, 100_000]) {
      const { found, fault } = scan(`{"${name}":1,"b":2}`, chunkBytes)
      expect(fault).toBeNull()
      expect(found.map(([, value]) => value)).toEqual(['1', '2'])
      expect(found[1]?.[0]).toBe('b')
    }
  })

  it('keeps big integers and bytes that are not UTF-8', () => {
    const bytes = new Uint8Array([...utf8('{"i":18446744073709551615,"s":"'), 0xff, 0xc3, ...utf8('"}')])
    const { found, fault } = scan(bytes, 5)
    expect(fault).toBeNull()
    expect(found[0]).toEqual(['i', '18446744073709551615'])
    expect(found[1]?.[1]).toBe('"\ufffd\ufffd"')
  })

  it('reports a value over its limit without keeping it', () => {
    const { found, fault } = scan(`{"a":"${'x'.repeat(2_000)}","b":1}`, 64)
    expect(fault).toBeNull()
    expect(found).toEqual([
      ['a', null],
      ['b', '1'],
    ])
  })

  it.each([
    '',
    ' ',
    '{',
    '{"a":',
    '{"a":1,}',
    '{"a" 1}',
    '[1,]',
    '[1 2]',
    '{"a":tru}',
    '{"a":truE}',
    '01',
    '1.',
    '-',
    '1e',
    '"a\u0001"',
    '"\\x"',
    '"\\u12g4"',
    '{a:1}',
    '[}',
    '{"a":1]',
    '1 2',
    'node_key=abc',
    '\ufeff{}',
    `${'['.repeat(600)}${']'.repeat(600)}`,
  ])('refuses %j as JSON does', (text) => {
    if (text.length < 600) expect(() => JSON.parse(text) as unknown).toThrow()
    for (const chunkBytes of [1, 1_000]) expect(scan(text, chunkBytes).fault).not.toBeNull()
  })

  it.each(['0', '-0.5E-2', '"x"', 'true', ' [ ] ', '{ "a" : [ 1 , 2 ] }', '[[[]]]', '12'])(
    'accepts %j',
    (text) => {
      expect(() => JSON.parse(text) as unknown).not.toThrow()
      for (const chunkBytes of [1, 1_000]) expect(scan(text, chunkBytes).fault).toBeNull()
    },
  )

  it('agrees with JSON.parse on texts with one byte changed', () => {
    const alphabet = '{}[]",:\\0-.eE+tn 1'
    let disagreements = 0
    for (let i = 0; i < SAMPLE.length; i += 1) {
      for (const letter of alphabet) {
        const text = SAMPLE.slice(0, i) + letter + SAMPLE.slice(i + 1)
        let valid = true
        try {
          JSON.parse(text)
        } catch {
          valid = false
        }
        if ((scan(text, 11).fault === null) !== valid) disagreements += 1
      }
    }
    expect(disagreements).toBe(0)
  })

  it('streams a value in pieces', () => {
    const pieces: string[] = []
    const scanner = new JsonScanner({
      enter: (path) => (path.length === 0 ? 'descend' : 'stream'),
      piece: (_path, bytes) => void pieces.push(textOf(bytes)),
    })
    for (const part of ['{"data":"QUJ', 'DRE', 'VG"', '}']) scanner.push(utf8(part))
    expect(scanner.end()).toBeNull()
    expect(pieces.join('')).toBe('"QUJDREVG"')
  })
})
