import { describe, expect, it } from 'vitest'
import type { EnvironmentRows } from '../../src/db/snapshot-rows.ts'
import { isSuperseded } from '../../src/fleet/superseded.ts'
import { NodeSet } from '../../src/fleet/node-set.ts'
import { textOf, utf8 } from '../../src/lib/bytes.ts'
import { compileEnvironment, partHash } from '../../src/snapshot/compile.ts'

const DOCUMENT = '{"schedule":{ "größe" :{"query":"SELECT 1","interval":18446744073709551615}}}\n'
const ROWS: EnvironmentRows = {
  environment: {
    id: 'e',
    name: 'default',
    revision: 7,
    minimumIssuedAtS: 5,
    accelerateShare: 0.1,
    retention: '{}',
    builtIn: '{}',
    intervals: '{}',
  },
  configuration: { version: 3, document: DOCUMENT },
  layers: [],
  held: [],
  pausedQueries: [],
  queries: [],
  revokedOrdinals: [],
  nodeCount: 0,
}

function queryRow(number: number, ordinals: readonly number[]): EnvironmentRows['queries'][number] {
  const chunks = NodeSet.of(ordinals).chunks()
  return {
    number,
    id: `q${number}`,
    kind: 'query',
    sql: `SELECT ${number}`,
    shards: 4,
    expiresAtMs: 10,
    logResults: 1,
    discovery: null,
    chunks,
  }
}

describe('compileEnvironment', () => {
  it('takes over what D1 says of the environment', async () => {
    expect(await compileEnvironment({ ...ROWS, nodeCount: 12 })).toMatchObject({
      environmentId: 'e',
      name: 'default',
      revision: 7,
      standing: { minimumIssuedAtS: 5 },
      configurationVersion: 3,
      nodeCount: 12,
    })
  })

  it('says which keys were revoked, and names the approved and the blocked nodes', async () => {
    const paced = { issuedBeforeS: 9, fromS: 9, overS: 60 }
    const atOnce = { issuedBeforeS: 7, fromS: 7, overS: 0 }
    const standing = {
      revocations: [paced, atOnce],
      blockedOrdinals: [4],
      approvedOrdinals: [1, 2],
      superseded: [{ ordinal: 5, minimumIssuedAtS: 9 }],
    }
    const compiled = await compileEnvironment({ ...ROWS, revokedOrdinals: [3], standing })
    const { minimumIssuedAtS, revocations, approvedPart = '' } = compiled.standing
    expect({ minimumIssuedAtS, revocations }).toEqual({ minimumIssuedAtS: 7, revocations: [paced] })
    const membersOf = (hash: string) => [...NodeSet.fromBytes(compiled.parts.get(hash) ?? new Uint8Array(0))]
    expect(membersOf(approvedPart)).toEqual([1, 2])
    expect(membersOf(compiled.revokedPart ?? '')).toEqual([3, 4])
    expect(compiled.revokedCount).toBe(3)
    const superseded = compiled.parts.get(compiled.standing.supersededPart ?? '') ?? new Uint8Array(0)
    expect([8, 9].map((issuedAtS) => isSuperseded(superseded, 5, issuedAtS))).toEqual([true, false])
  })

  it('serves the configuration as it was written, byte for byte (R7)', async () => {
    const { configurationParts, parts } = await compileEnvironment(ROWS)
    expect(configurationParts.map((hash) => textOf(parts.get(hash) ?? utf8('')))).toEqual([DOCUMENT])
  })

  it('says in a part of its own what the names in log lines stand for', async () => {
    const { namesPart, parts } = await compileEnvironment(ROWS)
    expect(textOf(parts.get(namesPart) ?? utf8(''))).toBe('{"format":1,"names":[["größe",[null,"größe"]]]}')
  })

  it('says for how long log lines are kept: classes alone, for types that there are', async () => {
    const retention = JSON.stringify({ status: 7, result: 8, lines: 30, audit: 730 })
    const rows = { ...ROWS, environment: { ...ROWS.environment, retention } }
    expect((await compileEnvironment(rows)).retention).toEqual({ status: 7, audit: 730 })
  })

  it('names parts by their bytes: the same twice, another for another document', async () => {
    const [one, again] = await Promise.all([compileEnvironment(ROWS), compileEnvironment(ROWS)])
    expect(again).toEqual(one)
    const other = await compileEnvironment({ ...ROWS, configuration: { version: 3, document: '{}' } })
    expect(other.configurationParts).not.toEqual(one.configurationParts)
    for (const [hash, bytes] of one.parts) expect(hash).toBe(await partHash(bytes))
  })

  it('has no set of the revoked where nobody is', async () => {
    expect(await compileEnvironment(ROWS)).toMatchObject({ revokedPart: null, revokedCount: 0 })
  })

  it('puts the revoked into a set of their own', async () => {
    const compiled = await compileEnvironment({ ...ROWS, revokedOrdinals: [70_000, 3] })
    const bytes = compiled.parts.get(compiled.revokedPart ?? '')
    expect([compiled.revokedCount, bytes && [...NodeSet.fromBytes(bytes)]]).toEqual([2, [3, 70_000]])
  })

  it('keeps every open query with its targets; the expired too, so that their end is told to D1', async () => {
    const rows = [queryRow(1, [1, 70_000]), { ...queryRow(2, []), kind: 'carve' as const }]
    const { queries } = await compileEnvironment({ ...ROWS, queries: rows })
    expect(
      queries.map(({ targets, ...rest }) => ({ ...rest, targets: [...NodeSet.fromBytes(targets)] })),
    ).toEqual([
      {
        number: 1,
        id: 'q1',
        kind: 'query',
        sql: 'SELECT 1',
        shards: 4,
        expiresAtMs: 10,
        logResults: 1,
        discovery: null,
        targets: [1, 70_000],
      },
      {
        number: 2,
        id: 'q2',
        kind: 'carve',
        sql: 'SELECT 2',
        shards: 4,
        expiresAtMs: 10,
        logResults: 1,
        discovery: null,
        targets: [],
      },
    ])
  })
})
