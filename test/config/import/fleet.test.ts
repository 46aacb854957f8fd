import { describe, expect, it } from 'vitest'
import { readDirectory } from '../../../src/config/import/directory.ts'
import { checkVersion } from '../../../src/config/version.ts'

function load(files: Record<string, string>) {
  return readDirectory(
    Object.entries({ 'config.yaml': '{}', ...files }).map(([path, text]) => ({ path, text })),
  )
}

function loaded(files: Record<string, string>) {
  const result = load(files)
  if (!result.ok) throw new Error(JSON.stringify(result.reason))
  const { document, warnings } = result.value
  return {
    packs: (JSON.parse(document) as { packs?: unknown }).packs,
    warnings: warnings.map(({ file, pointer, line, rule }) => [file, pointer, line, rule]),
  }
}

const QUERIES = `apiVersion: v1
kind: query
spec:
  name: users
  description: Who is there
  query: SELECT * FROM users
  platform: ""
---
apiVersion: v1
kind: query
spec:
  name: ports
  query: |
    SELECT *
    FROM listening_ports
`
const PACK = `apiVersion: v1
kind: pack
spec:
  name: it compliance
  platform: linux,darwin
  targets:
    labels:
      - All Hosts
  queries:
    - query: users
      name: people
      interval: 60
      removed: false
      denylist: false
      shard: null
    - query: ports
      interval: 300
      snapshot: true
      platform: linux
      version: 5.0.0
`

describe("Fleet's YAML", () => {
  it('is packs with the text of the queries that they name, in one file or several', () => {
    const packs = {
      'it compliance': {
        platform: 'linux,darwin',
        queries: {
          people: {
            query: 'SELECT * FROM users',
            interval: 60,
            removed: false,
            denylist: false,
            description: 'Who is there',
          },
          ports: {
            query: 'SELECT *\nFROM listening_ports\n',
            interval: 300,
            platform: 'linux',
            snapshot: true,
            version: '5.0.0',
          },
        },
      },
    }
    expect(loaded({ 'packs/all.yaml': `${PACK}---\n${QUERIES}` }).packs).toEqual(packs)
    expect(loaded({ 'packs/packs.yml': PACK, 'packs/queries.yml': QUERIES })).toEqual({
      packs,
      warnings: [['packs/packs.yml', '/spec/targets', 6, 'is left out: it means something to Fleet only']],
    })
  })

  it('says what it leaves out of queries that a pack names, and of the pack’s references', () => {
    const { warnings } = loaded({
      'packs/p.yaml': `kind: pack
spec:
  name: p
  queries:
    - query: q
      interval: 60
      team: x
---
kind: query
spec: {name: q, query: SELECT 1, automations_enabled: true}
`,
    })
    expect(warnings).toEqual([
      ['packs/p.yaml', '/spec/queries/0/team', 7, 'is left out: it means something to Fleet only'],
      ['packs/p.yaml', '/spec/automations_enabled', 10, 'is left out: it means something to Fleet only'],
    ])
  })

  it('has queries with an interval of their own: a pack named like the file', () => {
    const { packs, warnings } = loaded({
      'packs/global.yaml': `kind: query
spec:
  name: a
  query: SELECT 1
  interval: 3600
  min_osquery_version: 5.1.0
  automations_enabled: true
---
kind: report
spec: {name: b, query: SELECT 2, interval: 60, logging: differential_ignore_removals}
---
kind: query
spec: {name: c, query: SELECT 3, interval: 60, logging: differential}
---
kind: query
spec: {name: d, query: SELECT 4, interval: 0}
---
kind: label
spec: {name: x}
`,
    })
    expect(packs).toEqual({
      global: {
        queries: {
          // What Fleet does where it is not told.
          a: { query: 'SELECT 1', interval: 3600, version: '5.1.0', snapshot: true },
          b: { query: 'SELECT 2', interval: 60, removed: false },
          c: { query: 'SELECT 3', interval: 60 },
        },
      },
    })
    expect(warnings).toEqual([
      ['packs/global.yaml', '/kind', 18, 'is not imported: label'],
      ['packs/global.yaml', '/spec/automations_enabled', 7, 'is left out: it means something to Fleet only'],
      ['packs/global.yaml', '/spec', 16, 'has no interval and no pack names it: it is not scheduled'],
    ])
  })

  it("is GitOps' lists, too", () => {
    const list = '- name: a\n  query: SELECT 1\n  interval: 60\n  logging: snapshot\n'
    const packs = { g: { queries: { a: { query: 'SELECT 1', interval: 60, snapshot: true } } } }
    expect(loaded({ 'packs/g.yml': list }).packs).toEqual(packs)
    expect(loaded({ 'packs/g.yml': `queries:\n${list}` }).packs).toEqual(packs)
  })

  it.each<[string, string, [string, number]]>([
    ['a query that is not there', `${PACK}`, ['/spec/queries/0/query', 10]],
    ['a query twice', `${QUERIES}---\n${QUERIES}`, ['/spec/name', 20]],
    ['a query without a name', 'kind: query\nspec: {query: SELECT 1}\n', ['/spec/name', 2]],
    ['a list of something else', '- path: ./a.yml\n', ['/0', 1]],
    ['a kind without spec', 'kind: pack\n', ['', 1]],
  ])('is refused with its line: %s', (_what, text, [pointer, line]) => {
    const result = load({ 'packs/a.yaml': text })
    const faults = result.ok ? [] : result.reason
    expect(faults[0]).toMatchObject({ file: 'packs/a.yaml', line })
    expect(faults[0]?.pointer).toBe(pointer)
  })

  it('has names that agents reject refused where they stand', () => {
    const result = load({
      'packs/a.yaml': 'kind: query\nspec:\n  name: my_counter\n  query: SELECT 1\n  interval: 0x3c\n',
    })
    if (!result.ok) throw new Error('refused')
    const { document, layers, place } = result.value
    const checked = checkVersion(document, layers)
    const errors = checked.ok || checked.reason.kind !== 'invalid' ? [] : checked.reason.errors
    expect(errors.map(({ pointer }) => place(pointer))).toEqual([
      { file: 'packs/a.yaml', pointer: '/spec', line: 2 },
    ])
  })
})
