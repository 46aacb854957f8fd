import { describe, expect, it } from 'vitest'
import { compactJson } from '../../../src/config/compact.ts'
import { readDirectory } from '../../../src/config/import/directory.ts'
import { writeDirectory } from '../../../src/config/import/write.ts'
import { checkVersion } from '../../../src/config/version.ts'

/** Files by path. */
function load(files: Record<string, string>) {
  return readDirectory(Object.entries(files).map(([path, text]) => ({ path, text })))
}

function loaded(files: Record<string, string>) {
  const result = load(files)
  if (!result.ok) throw new Error(JSON.stringify(result.reason))
  return result.value
}

function documentOf(files: Record<string, string>): unknown {
  return JSON.parse(loaded(files).document)
}

function faultsOf(files: Record<string, string>) {
  const result = load(files)
  return result.ok ? [] : result.reason.map(({ file, pointer, line, rule }) => [file, pointer, line, rule])
}

const QUERY = '{"query":"SELECT 1","interval":"60","removed":false,"denylist":false,"custom":[1]}'

describe('a directory', () => {
  it('is a base, packs and layers in the order of their names', () => {
    const { document, layers } = loaded({
      'config.yaml': 'options:\n  distributed_interval: 10\n',
      'packs/b.conf': `# pack b\n{"queries":{"x":${QUERY}}}`,
      'packs/a.yaml': 'queries:\n  y:\n    query: |\n      SELECT 2\n      FROM z\n    interval: 60\n',
      'layers/20-canary.yaml': 'match: {tag: canary}\ndocument: {schedule: null}\n',
      'layers/10-linux.json': '{"match":{"platform":"linux"},"document":{"views":{}}}',
    })
    expect(compactJson(document)).toBe(
      '{"options":{"distributed_interval":10},"packs":{' +
        '"a":{"queries":{"y":{"query":"SELECT 2\\nFROM z\\n","interval":60}}},' +
        `"b":{"queries":{"x":${QUERY}}}}}`,
    )
    expect(layers).toEqual([
      { name: 'linux', match: { platform: 'linux' }, document: '{"views":{}}' },
      { name: 'canary', match: { tag: 'canary' }, document: '{"schedule":null}' },
    ])
  })

  it('without packs is its base as it is written', () => {
    expect(loaded({ 'config.json': '{"z":1.0, "a":{} }' }).document).toBe('{"z":1.0, "a":{} }')
  })

  it("takes osquery's own way to name the file of a pack, in its place", () => {
    expect(
      documentOf({
        'config.conf': '{"packs":{"z":"/usr/share/osquery/packs/it.conf","own":{}},"schedule":{}}',
        'packs/it.conf': '{"platform":"linux"}',
        'packs/more.json': '{}',
      }),
    ).toEqual({ packs: { z: { platform: 'linux' }, own: {}, more: {} }, schedule: {} })
  })

  it('has packs of any name', () => {
    expect(
      documentOf({ 'config.yaml': '{}', 'packs/sadmind%2Fiis worm%20.json': '{}', 'packs/100%.json': '{}' }),
    ).toEqual({ packs: { '100%': {}, 'sadmind/iis worm ': {} } })
  })

  it('takes a folder of .sql for a pack', () => {
    expect(
      documentOf({
        'config.yaml': '{}',
        'packs/odk/execution/a.sql':
          '-- Programs from /tmp\n--\n-- tags: transient\n-- platform: linux\n-- interval: 30\n-- removed: false\n\nSELECT 1 -- one\nFROM x;\n',
        'packs/odk/b.sql': 'SELECT 2',
      }),
    ).toEqual({
      packs: {
        odk: {
          queries: {
            b: { query: 'SELECT 2' },
            a: {
              query: 'SELECT 1 -- one\nFROM x;',
              platform: 'linux',
              interval: 30,
              removed: false,
              description: 'Programs from /tmp\n\ntags: transient',
            },
          },
        },
      },
    })
  })

  it('joins lists of platforms, which are not osquery’s, and says so', () => {
    const { document, warnings } = loaded({
      'config.yaml': 'schedule:\n  a:\n    platform: [linux, darwin]\n    query: SELECT 1\n',
      'packs/p.json': '{"platform":["windows"],"queries":{"q":{"platform":["posix"],"query":"SELECT 1"}}}',
    })
    expect(JSON.parse(document)).toMatchObject({
      schedule: { a: { platform: 'linux,darwin' } },
      packs: { p: { platform: 'windows', queries: { q: { platform: 'posix' } } } },
    })
    expect(warnings.map(({ file, pointer, line }) => [file, pointer, line])).toEqual([
      ['config.yaml', '/schedule/a/platform', 3],
      ['packs/p.json', '/platform', 1],
      ['packs/p.json', '/queries/q/platform', 1],
    ])
  })

  it('has YAML as JSON: numbers as they are written, names in their order, anchors, nothing guessed', () => {
    const { document } = loaded({
      'config.yaml':
        'x: &s {q: 1.0e2}\ny: *s\n3600: [yes, 0o17, 12345678901234567890, ~, "1"]\n60: 2001-01-01\n',
    })
    expect(document).toBe(
      '{"x":{"q":1.0e2},"y":{"q":1.0e2},"3600":["yes",15,12345678901234567890,null,"1"],"60":"2001-01-01"}',
    )
  })
})

describe('a directory is refused with file, path, line and rule:', () => {
  it.each<[string, Record<string, string>, [string, string, number | null, string]]>([
    ['no base', {}, ['config.yaml', '', null, 'is missing']],
    [
      'two bases',
      { 'config.yaml': '{}', 'config.json': '{}' },
      ['config.json', '', null, 'there must be one'],
    ],
    ['YAML', { 'config.yaml': 'a: 1\nb: [\n' }, ['config.yaml', '', 3, 'is not YAML']],
    ['a name twice', { 'config.yaml': 'a: 1\na: 2\n' }, ['config.yaml', '', 2, 'unique']],
    [
      'an infinite number',
      { 'config.yaml': 'a:\n  - .inf\n' },
      ['config.yaml', '/a/0', 2, 'JSON does not have'],
    ],
    ['a merge key', { 'config.yaml': 'a: &a {}\nb: {<<: *a}\n' }, ['config.yaml', '/b', 2, 'merge keys']],
    [
      'aliases by the billion',
      { 'config.yaml': `a0: &a0 [1]\n${billion(12)}` },
      ['config.yaml', expect.any(String) as string, expect.any(Number) as number, 'more values'],
    ],
    [
      'a whole configuration as a pack',
      { 'config.yaml': '{}', 'packs/a.conf': '{\n"schedule":{}}' },
      ['packs/a.conf', '/schedule', 2, 'whole configuration'],
    ],
    [
      'a pack that has no file',
      { 'config.yaml': 'packs:\n  a: /etc/a.conf\n' },
      ['config.yaml', '/packs/a', 2, 'packs/a.conf'],
    ],
    [
      'a pack twice',
      { 'config.yaml': '{}', 'packs/a.conf': '{}', 'packs/a.json': '{}' },
      ['packs/a.json', '', 1, 'is pack a'],
    ],
    [
      'a layer for nobody',
      { 'config.yaml': '{}', 'layers/a.yaml': 'document: {}\nmatch:\n  platform: ubuntu\n' },
      ['layers/a.yaml', '/match', 2, 'must be {"platform"'],
    ],
    [
      'a layer without a document',
      { 'config.yaml': '{}', 'layers/a.yaml': 'match: {tag: a}\n' },
      ['layers/a.yaml', '', 1, 'document must be'],
    ],
    [
      'a layer twice',
      {
        'config.yaml': '{}',
        'layers/1-a.yaml': 'match: {tag: a}\ndocument: {}',
        'layers/2-a.yaml': 'match: {tag: a}\ndocument: {}',
      },
      ['layers/2-a.yaml', '', 1, 'another layer'],
    ],
  ])('%s', (_what, files, [file, pointer, line, rule]) => {
    expect(faultsOf(files)).toContainEqual([file, pointer, line, expect.stringContaining(rule)])
  })

  it('names agents reject, in every kind of file, where they stand', () => {
    const { document, layers, place } = loaded({
      'config.yaml': 'schedule:\n  cache.x: {query: SELECT 1}\n',
      'packs/a.conf': '{"queries":\n# c\n{"my_epoch":{"query":"SELECT 1"}}}',
      'packs/f/a_counter.sql': '-- interval: 700000\nSELECT 1',
      'layers/a.yaml': 'match: {tag: a}\ndocument: {}\n',
    })
    const checked = checkVersion(document, layers)
    const errors = checked.ok || checked.reason.kind !== 'invalid' ? [] : checked.reason.errors
    expect(errors.map(({ pointer }) => place(pointer))).toEqual([
      { file: 'config.yaml', pointer: '/schedule/cache.x', line: 2 },
      { file: 'packs/a.conf', pointer: '/queries/my_epoch', line: 3 },
      { file: 'packs/f/a_counter.sql', pointer: '', line: 2 },
      { file: 'packs/f/a_counter.sql', pointer: '/interval', line: 1 },
    ])
  })

  it('a layer’s fault, where the layer says it', () => {
    const { document, layers, place } = loaded({
      'config.yaml': 'schedule:\n  a: {query: SELECT 1, interval: 60}\n',
      'layers/a.yaml': 'match: {tag: a}\ndocument:\n  schedule:\n    a:\n      interval: 0\n',
    })
    const checked = checkVersion(document, layers)
    expect(checked.ok).toBe(false)
    expect(place('/layers/a/schedule/a/interval')).toEqual({
      file: 'layers/a.yaml',
      pointer: '/document/schedule/a/interval',
      line: 5,
    })
  })
})

describe('what is written', () => {
  it.each([
    '{"options":{"a":1},"schedule":{"x":{"query":"SELECT 1\\nFROM y","interval":"60"}}}',
    '{"options":{},"packs":{"a":{"queries":{}},"b":{}}}',
    '{"packs":{"b":{},"a":{}},"options":{}}',
    '{"packs":{"*":{"a":{}},"A":{},"a":{},"sadmind/iis ":{},".x":{},"ü":{}}}',
    '{"a":1.0e2,"b":"\\u0041","c":12345678901234567890,"d":"\\/"}',
    '{"\\u0041":{},"packs":{"\\u0042":{}}}',
    '{"decorators":{"interval":{"3600":["SELECT 1"],"60":[]}},"x":["yes","~","1"," a ","#","- b","","\\t"]}',
    '{"packs":{},"a":[]}',
    '{"packs":[],"x":null}',
    '{}',
  ])('is read as the same again: %s', (document) => {
    const layers = [
      { name: 'linux', match: { platform: 'linux' as const }, document: '{"schedule":{"a":null},"n":1e3}' },
      { name: '10-x', match: { tag: 'prod' }, document: '{}' },
    ]
    const files = writeDirectory(document, layers)
    const again = readDirectory(files)
    const isList = document.includes('"packs":[]')
    if (!again.ok) return expect(isList).toBe(true)
    expect(compactJson(again.value.document)).toBe(document)
    expect(again.value.layers.map((layer) => ({ ...layer, document: compactJson(layer.document) }))).toEqual(
      layers,
    )
    const names = files.map(({ path }) => path.toLowerCase())
    expect(new Set(names).size).toBe(names.length)
  })

  it('is one file for each pack and layer', () => {
    const files = writeDirectory('{"options":{"a":"b"},"packs":{"it":{"queries":{}}}}', [
      { name: 'canary', match: { tag: 'canary' }, document: '{"views":{}}' },
    ])
    expect(files).toEqual([
      { path: 'config.yaml', text: 'options:\n  a: b\n' },
      { path: 'packs/it.json', text: '{\n  "queries": {}\n}\n' },
      { path: 'layers/01-canary.yaml', text: 'match:\n  tag: canary\ndocument:\n  views: {}\n' },
    ])
  })
})

function billion(levels: number): string {
  return Array.from({ length: levels }, (_, i) => {
    const items = Array.from({ length: 9 }, () => `*a${i}`).join(', ')
    return `a${i + 1}: &a${i + 1} [${items}]\n`
  }).join('')
}
