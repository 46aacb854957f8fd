import { describe, expect, it } from 'vitest'
import { makeQueryId, readQueryId, type WireQuery } from '../../src/agent/query-id.ts'
import { signingKeys } from '../support/signing-keys.ts'

const keys = await signingKeys('k1')
const QUERY: WireQuery = {
  environmentId: '0192f0e1-d2c3-7a6b-8c5d-9e8f00112233',
  number: 42,
  shards: 128,
  ordinal: 7,
}

describe('a wire query id', () => {
  it.each<Partial<WireQuery>>([
    {},
    { number: 0, shards: 1, ordinal: 0 },
    { number: 2 ** 32 - 1, shards: 255, ordinal: 2 ** 32 - 1 },
  ])('routes itself: %j', async (part) => {
    const query = { ...QUERY, ...part }
    expect(await readQueryId(keys, await makeQueryId(keys, query))).toEqual({ ok: true, value: query })
  })

  it('is the same each time a node is offered the query: an answer fits any of the offers', async () => {
    expect(await makeQueryId(keys, QUERY)).toBe(await makeQueryId(keys, { ...QUERY }))
  })

  it('is another one for each node, query, spread and environment', async () => {
    const ids = await Promise.all(
      [
        {},
        { ordinal: 8 },
        { number: 43 },
        { shards: 4 },
        { environmentId: '0192f0e1-d2c3-7a6b-8c5d-9e8f00112234' },
      ].map((part) => makeQueryId(keys, { ...QUERY, ...part })),
    )
    expect(new Set(ids).size).toBe(5)
  })

  it('has no dots, which agents before 3.2.0 trip over (spec 5.4)', async () => {
    expect(await makeQueryId(keys, QUERY)).toMatch(/^oeq1-[A-Za-z0-9_-]{56}$/)
  })

  it.each(['q-8f2', '', 'kubequery_1', 'FleetDM-12'])('of another server (%j) is foreign', async (id) => {
    expect(await readQueryId(keys, id)).toEqual({ ok: false, reason: 'foreign' })
  })
})
