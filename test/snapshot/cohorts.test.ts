import { describe, expect, it } from 'vitest'
import type { EnvironmentRows, LayerRow } from '../../src/db/snapshot-rows.ts'
import type { Held } from '../../src/fleet/held.ts'
import { NodeSet } from '../../src/fleet/node-set.ts'
import { textOf, utf8 } from '../../src/lib/bytes.ts'
import { compileEnvironment, type CompiledEnvironment } from '../../src/snapshot/compile.ts'
import { configurationOf, configurationSetsOf } from '../../src/snapshot/head.ts'

const STABLE = '{"options":{"verbose":true},"schedule":{"a":{"query":"SELECT 1","interval":60}}}'
const CANDIDATE = '{"options":{"logger_tls_max_lines":9},"schedule":{"b":{"query":"SELECT 2","interval":60}}}'
const ROWS: EnvironmentRows = {
  environment: {
    id: 'e',
    name: 'default',
    revision: 7,
    minimumIssuedAtS: 0,
    accelerateShare: 0.1,
    retention: '{}',
    builtIn: '{}',
    intervals: '{}',
  },
  configuration: { version: 3, document: STABLE },
  layers: [],
  held: [{ pointer: '/options/verbose', platform: null }],
  pausedQueries: [],
  queries: [],
  revokedOrdinals: [],
  nodeCount: 10,
}
const HELD: Held[] = [{ pointer: '/options/logger_tls_max_lines', platform: null }]

function rolling(
  members: readonly number[],
  { layers = [], former = [] }: { layers?: LayerRow[]; former?: readonly number[] } = {},
): EnvironmentRows {
  const candidate = {
    configuration: { version: 4, document: CANDIDATE },
    layers,
    members: NodeSet.of(members),
    held: HELD,
    costIntervalS: 60,
  }
  const takenBack = former.length === 0 ? [] : [{ members: NodeSet.of(former), held: FORMERLY }]
  return { ...ROWS, rollouts: { candidate: members.length === 0 ? null : candidate, takenBack } }
}
const FORMERLY: Held[] = [{ pointer: '/options/schedule_splay_percent', platform: null }]

/** What a node is served, and of which version. */
function servedTo(compiled: CompiledEnvironment, ordinal: number) {
  const { layers, ...rest } = compiled
  const head = { ...rest, ...(layers === undefined ? {} : { layers }) }
  const bytesOf = (part: string) => compiled.parts.get(part) ?? utf8('')
  const node = { ordinal, platformFamily: 'linux' as const, splayBucket: 0 }
  const found = configurationOf(head, node, (part) => NodeSet.fromBytes(bytesOf(part)))
  if (found === undefined) throw new Error('no configuration')
  return { version: found.version, text: textOf(bytesOf(found.part)) }
}

function optionsIn(text: string): unknown {
  return (JSON.parse(text) as { options: unknown }).options
}

describe('while a version is rolled out', () => {
  it('its members get it, with what clears the stable one, and tell their costs often', async () => {
    const compiled = await compileEnvironment(rolling([2, 5]))
    const { version, text } = servedTo(compiled, 5)
    expect(version).toBe(4)
    expect(JSON.parse(text)).toMatchObject({
      options: { logger_tls_max_lines: 9, verbose: false },
      schedule: { b: { query: 'SELECT 2' }, 'osquery-edge/cost': { interval: 60 } },
    })
  })

  it('all others get the very bytes they had', async () => {
    const compiled = await compileEnvironment(rolling([2, 5]))
    expect(servedTo(compiled, 4)).toEqual({ version: 3, text: STABLE })
    expect(compiled.configurationParts).toEqual((await compileEnvironment(ROWS)).configurationParts)
  })

  it('log lines of both versions have their names', async () => {
    const { namesPart, parts } = await compileEnvironment(rolling([2]))
    const table = textOf(parts.get(namesPart) ?? utf8(''))
    for (const name of ['"a"', '"b"', '"osquery-edge/cost"']) expect(table).toContain(name)
  })

  it('its layers are for its members alone', async () => {
    const layer: LayerRow = {
      position: 0,
      name: 'l',
      platform: null,
      members: NodeSet.of([2, 4]),
      document: '{"options":{"utc":false}}',
    }
    const compiled = await compileEnvironment(rolling([2, 5], { layers: [layer] }))
    expect(optionsIn(servedTo(compiled, 2).text)).toMatchObject({ utc: false })
    expect(optionsIn(servedTo(compiled, 5).text)).not.toHaveProperty('utc')
    expect(servedTo(compiled, 4).text).toBe(STABLE)
    // Whoever decides about a node has all the sets at hand.
    const { layers: _layers, ...head } = compiled
    expect(configurationSetsOf(head)).toHaveLength(2)
  })
})

describe('after a version was taken back', () => {
  it('only those who had it are told the defaults of its options', async () => {
    const compiled = await compileEnvironment(rolling([], { former: [7] }))
    const { version, text } = servedTo(compiled, 7)
    expect(version).toBe(3)
    expect(optionsIn(text)).toEqual({ verbose: true, schedule_splay_percent: 10 })
    expect(servedTo(compiled, 6)).toEqual({ version: 3, text: STABLE })
  })

  it('they are told so in the next version on its way, too', async () => {
    const compiled = await compileEnvironment(rolling([2, 7], { former: [7, 8] }))
    expect(optionsIn(servedTo(compiled, 7).text)).toMatchObject({
      logger_tls_max_lines: 9,
      schedule_splay_percent: 10,
    })
    expect(optionsIn(servedTo(compiled, 2).text)).not.toHaveProperty('schedule_splay_percent')
    expect(optionsIn(servedTo(compiled, 8).text)).toEqual({ verbose: true, schedule_splay_percent: 10 })
    expect(servedTo(compiled, 3).text).toBe(STABLE)
  })

  it('where nothing has to be cleared they are as all others', async () => {
    const rows = {
      ...rolling([], { former: [7] }),
      configuration: { version: 5, document: '{"options":{"schedule_splay_percent":1,"verbose":true}}' },
    }
    expect((await compileEnvironment(rows)).cohorts).toEqual([])
  })
})
