import { describe, expect, it } from 'vitest'
import {
  builtInQueries,
  COST_QUERY_NAME,
  DEFAULT_BUILT_IN,
  INVENTORY_TABLES,
  inventoryNameOf,
  inventoryTableOf,
  NO_BUILT_IN,
  readBuiltIn,
  withBuiltIn,
} from '../../src/config/built-in.ts'
import { withoutPaused } from '../../src/config/paused.ts'
import { servedDocument } from '../../src/config/served.ts'
import { checkConfiguration } from '../../src/config/validate.ts'
import { checkVersion } from '../../src/config/version.ts'

const ONLY_COST = { cost: { intervalS: 600 }, inventory: null }

describe('what the server schedules by itself', () => {
  it('is nothing where the environment has nothing: the text stays as it was written', () => {
    const text = '{ "schedule" : {"a":{"query":"SELECT 1","interval":18446744073709551615}}}\n'
    expect(withBuiltIn(text, NO_BUILT_IN)).toEqual({ text, pointers: [] })
  })

  it('stands in the schedule beside what operators wrote, numbers as they wrote them', () => {
    const { text, pointers } = withBuiltIn(
      '{"schedule":{"a":{"query":"SELECT 1","interval":18446744073709551615}}}',
      ONLY_COST,
    )
    expect(text).toBe(
      '{"schedule":{"a":{"query":"SELECT 1","interval":18446744073709551615},' +
        '"osquery-edge/cost":{"query":"SELECT * FROM osquery_schedule","interval":600,"snapshot":true}}}',
    )
    expect(pointers).toEqual(['/schedule/osquery-edge~1cost'])
  })

  it('makes a schedule where there is none, and nothing of what is no document', () => {
    expect(JSON.parse(withBuiltIn('{}', ONLY_COST).text)).toHaveProperty('schedule')
    expect(withBuiltIn('no JSON', ONLY_COST).text).toBe('no JSON')
  })

  it('is a document that agents take, under names that say whose they are', () => {
    expect(checkConfiguration(withBuiltIn('{}', DEFAULT_BUILT_IN).text)).toMatchObject({
      ok: true,
      value: { warnings: [] },
    })
    expect([...builtInQueries(DEFAULT_BUILT_IN).keys()]).toEqual([
      'osquery-edge/cost',
      'osquery-edge/inventory/os_version',
      'osquery-edge/inventory/system_info',
      'osquery-edge/inventory/osquery_info',
      'osquery-edge/inventory/interface_addresses',
      'osquery-edge/inventory/logged_in_users',
    ])
  })

  it('tells the table of a line by its name', () => {
    for (const table of INVENTORY_TABLES) expect(inventoryTableOf(inventoryNameOf(table))).toBe(table)
    expect(inventoryTableOf(COST_QUERY_NAME)).toBeNull()
    expect(inventoryTableOf('osquery-edge/inventory/other')).toBeNull()
  })

  it('leaves out of a stored choice what makes no sense, or is newer than this Worker', () => {
    expect(readBuiltIn('{}')).toEqual(NO_BUILT_IN)
    expect(readBuiltIn('{"cost":{"intervalS":60},"inventory":{"intervalS":"x"},"more":1}')).toEqual({
      cost: { intervalS: 60 },
      inventory: null,
    })
  })
})

describe('the reserved prefix', () => {
  it.each([
    [
      'the schedule',
      '{"schedule":{"osquery-edge/mine":{"query":"SELECT 1","interval":60}}}',
      '/schedule/osquery-edge~1mine',
    ],
    [
      'a pack, because one called main has the same names in log lines',
      '{"packs":{"main":{"queries":{"osquery-edge/cost":{"query":"SELECT 1","interval":60}}}}}',
      '/packs/main/queries/osquery-edge~1cost',
    ],
  ])('is refused in %s', (_where, document, pointer) => {
    expect(checkVersion(document, [])).toMatchObject({
      ok: false,
      reason: { kind: 'invalid', errors: [{ pointer }] },
    })
  })

  it('is refused in a layer, at the place in that layer', () => {
    const document = '{"schedule":{"osquery-edge/cost":null}}'
    const layers = [{ name: 'linux', match: { platform: 'linux' as const }, document }]
    expect(checkVersion('{"schedule":{}}', layers)).toMatchObject({
      ok: false,
      reason: { errors: [{ pointer: '/layers/linux/schedule/osquery-edge~1cost' }] },
    })
  })

  it('counts against the size of a document: what is served has to fit', () => {
    const filler = 'x'.repeat(1_024 * 1_024 - 60)
    const document = JSON.stringify({ schedule: {}, packs: {}, decorators: {}, views: { v: filler } })
    expect(checkVersion(document, []).ok).toBe(true)
    const served = checkVersion(
      document,
      [],
      (merged) => servedDocument(merged, { held: [], builtIn: ONLY_COST }).text,
    )
    expect(served).toMatchObject({ ok: false, reason: { errors: [{ pointer: '' }] } })
  })
})

describe('a paused query', () => {
  const document =
    '{"schedule":{"a":{"query":"1"},"b":{"query":"2"}},"packs":{"p":{"queries":{"a":{"query":"3"}}},"main":{"queries":{"a":{"query":"4"}}}}}'

  it('is left out wherever its name in log lines is meant', () => {
    const { text, paused } = withoutPaused(document, new Set(['a']))
    expect(text).toBe(
      '{"schedule":{"b":{"query":"2"}},"packs":{"p":{"queries":{"a":{"query":"3"}}},"main":{"queries":{}}}}',
    )
    expect(paused).toEqual([
      { name: 'a', pointer: '/schedule/a' },
      { name: 'a', pointer: '/packs/main/queries/a' },
    ])
  })

  it('may be one of a pack', () => {
    expect(withoutPaused(document, new Set(['pack_p_a'])).paused).toEqual([
      { name: 'pack_p_a', pointer: '/packs/p/queries/a' },
    ])
  })

  it('changes nothing where it is not in the document', () => {
    expect(withoutPaused(document, new Set(['zzz']))).toEqual({ text: document, paused: [] })
    expect(withoutPaused('no JSON', new Set(['a'])).text).toBe('no JSON')
  })

  it('may have any name', () => {
    const odd = '{"schedule":{"__proto__":{"query":"1"},"b":{"query":"2"}}}'
    expect(withoutPaused(odd, new Set(['__proto__'])).text).toBe('{"schedule":{"b":{"query":"2"}}}')
  })

  it('may be one of the server', () => {
    const served = servedDocument(
      { text: '{"schedule":{}}', origins: [] },
      { held: [], builtIn: ONLY_COST, paused: new Set([COST_QUERY_NAME]) },
    )
    expect(served).toMatchObject({ text: '{"schedule":{}}', origins: [] })
  })
})
