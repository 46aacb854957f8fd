/** Whatever a configuration says, its files say the same: names, numbers, escapes and order. */

import fc from 'fast-check'
import { expect, it } from 'vitest'
import { compactJson } from '../../src/config/compact.ts'
import { readConf } from '../../src/config/import/conf.ts'
import { readDirectory } from '../../src/config/import/directory.ts'
import { prettyJson, writeDirectory } from '../../src/config/import/write.ts'
import { check } from './check.ts'

const name = fc.oneof(
  fc.string({ maxLength: 6, unit: 'grapheme' }),
  fc.constantFrom(
    '*',
    'a',
    'A',
    '../x',
    '.',
    '..',
    'con',
    '%41',
    'x ',
    'ß',
    '10',
    '9',
    '__proto__',
    'null',
    '<<',
  ),
)
const text = fc.oneof(
  fc.string({ unit: 'grapheme' }),
  fc.constantFrom(
    'SELECT *\nFROM x;\n',
    ' a\n  b\n',
    'yes',
    '0x10',
    '1e3',
    '# no',
    '// no',
    '\\',
    '\\\n',
    '~',
    'a: b',
    '\u2028\t\r\n',
  ),
)
const scalar = fc.oneof(
  text.map((value) => JSON.stringify(value)),
  fc.constantFrom('1', '-0', '1.0', '1e2', '12345678901234567890', 'true', 'null', '"\\u0041"', '"\\/"'),
)

function objectOf(value: fc.Arbitrary<string>): fc.Arbitrary<string> {
  return fc
    .uniqueArray(fc.tuple(name, value), { maxLength: 5, selector: ([each]) => each })
    .map((members) => `{${members.map(([key, each]) => `${JSON.stringify(key)}:${each}`).join(',')}}`)
}

const pack = objectOf(fc.oneof(scalar, objectOf(scalar)))
const value = fc.oneof(
  scalar,
  objectOf(scalar),
  fc.array(scalar, { maxLength: 3 }).map((items) => `[${items.join(',')}]`),
)
const document = fc
  .tuple(objectOf(value), fc.option(objectOf(pack), { nil: null }), fc.boolean())
  .map(([base, packs, isFirst]) => {
    if (packs === null) return base
    const members = base.slice(1, -1)
    if (members === '') return `{"packs":${packs}}`
    return isFirst ? `{"packs":${packs},${members}}` : `{${members},"packs":${packs}}`
  })

it('a configuration is written as files that are read as the same text', async () => {
  await check(
    fc.property(document, (wanted) => {
      const files = writeDirectory(wanted, [])
      const read = readDirectory(files)
      if (!read.ok) throw new Error(JSON.stringify(read.reason))
      expect(compactJson(read.value.document)).toBe(wanted)
      const paths = files.map(({ path }) => path.toLowerCase())
      expect(new Set(paths).size).toBe(paths.length)
      for (const path of paths) expect(path).toMatch(/^(packs\/[^/\\:*?"<>|]+|config)\.(yaml|json)$/)
    }),
    300,
  )
})

it('JSON with line ends is what osquery reads from a .conf: nothing in it is taken for a comment', async () => {
  await check(
    fc.property(objectOf(value), (wanted) => {
      const read = readConf({ path: 'a.conf', text: prettyJson(wanted) })
      if (!read.ok) throw new Error(JSON.stringify(read.reason))
      expect(compactJson(read.value.json)).toBe(wanted)
    }),
    300,
  )
})
