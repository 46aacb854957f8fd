import { describe, expect, it } from 'vitest'
import { readConf, readJson, stripConf } from '../../../src/config/import/conf.ts'

function read(text: string) {
  const result = readConf({ path: 'packs/a.conf', text })
  if (!result.ok) throw new Error(JSON.stringify(result.reason))
  return result.value
}

function refused(text: string) {
  const result = readConf({ path: 'packs/a.conf', text })
  return result.ok ? null : result.reason.map(({ pointer, line, rule }) => ({ pointer, line, rule }))
}

describe("osquery's .conf", () => {
  it('joins lines that end in a backslash, inside of texts, with the blanks that follow', () => {
    const { json } = read('{"queries":{"a":{"query":"SELECT 1 \\\n    FROM x;"}}}')
    expect(json).toBe('{"queries":{"a":{"query":"SELECT 1     FROM x;"}}}')
  })

  it('joins lines of a file from Windows, too', () => {
    expect(JSON.parse(read('{"a":"b\\\r\n c"}\r\n').json)).toEqual({ a: 'b c' })
  })

  it.each(['#', '//', '  # ', '\t// '])('leaves lines out that begin with %j', (start) => {
    expect(JSON.parse(read(`{\n${start} "no": 1,\n"a": 1\n}`).json)).toEqual({ a: 1 })
  })

  it('keeps # and // inside of texts and after values refuses them: there are no comments at the end of a line', () => {
    expect(JSON.parse(read('{"a":"http://x # y"}').json)).toEqual({ a: 'http://x # y' })
    expect(refused('{\n"a": 1 // one\n}')).toMatchObject([{ line: 2 }])
  })

  it('takes a comment that ends in a backslash as two lines of comment', () => {
    expect(stripConf('{\n# no \\\n"a":1,\n"b":2}')).toBe('{\n"b":2}')
  })

  it('keeps numbers, escapes, the order of names and blanks inside of names', () => {
    const text = '{"b ":1.0e2,"10":12345678901234567890,"9":"\\u0041"}'
    expect(read(text).json).toBe(text)
  })

  it.each([
    ['{\n"a": 1,\n}', 3],
    ['{\n"a": tru\n}', 2],
    ['{\n\n# c\n"a": "x\ny"\n}', 4],
    ['{"a":1}\n{"b":2}', 2],
    ['{"a":1', 1],
  ])('%j is refused with line %i', (text, line) => {
    expect(refused(text)).toMatchObject([{ pointer: '', line }])
  })

  it('refuses a name that stands twice, with the line of the second', () => {
    expect(refused('{"queries":{\n"a":{},\n"b":{},\n"a":{}\n}}')).toEqual([
      { pointer: '/queries/a', line: 4, rule: 'stands here twice' },
    ])
  })

  it('knows the line of a place behind comments and continuations', () => {
    const source = read('{\n# c\n"queries": {\n"a": {"query": "SELECT \\\n1"},\n"b": {\n"interval": 0}}}')
    expect(source.place('/queries/b/interval')).toEqual({
      file: 'packs/a.conf',
      pointer: '/queries/b/interval',
      line: 7,
    })
    expect(source.place('/queries/none').line).toBeNull()
  })
})

describe('JSON', () => {
  it('has no comments and no continuations', () => {
    expect(readJson({ path: 'a.json', text: '{\n// c\n"a":1}' }).ok).toBe(false)
    expect(readJson({ path: 'a.json', text: '{"a":"\\\n"}' }).ok).toBe(false)
  })
})
