import { describe, expect, it } from 'vitest'
import { seal } from '../../src/agent/credential.ts'
import { knownKey, makeNodeKey, readNodeKey, type NodeIdentity } from '../../src/agent/node-key.ts'
import { makeQueryId } from '../../src/agent/query-id.ts'
import { signingKeys } from '../support/signing-keys.ts'

const keys = await signingKeys('k1')
const IDENTITY: NodeIdentity = {
  environmentId: '0192f0e1-d2c3-7a6b-8c5d-9e8f00112233',
  nodeId: '0192f0e1-d2c3-7a6b-8c5d-9e8f44556677',
  ordinal: 999_999,
  platformFamily: 'windows',
  splayBucket: 13,
  issuedAtS: 1_788_861_605,
}

describe('a node key', () => {
  it.each<Partial<NodeIdentity>>([
    {},
    { ordinal: 0, splayBucket: 0, issuedAtS: 0, platformFamily: 'unknown' },
    { ordinal: 2 ** 32 - 1, splayBucket: 15, issuedAtS: 2 ** 32 - 1, platformFamily: 'freebsd' },
    { platformFamily: 'linux' },
    { platformFamily: 'darwin' },
    { awaitsApproval: true },
  ])('says who the node is, and the signing key that it is under: %j', async (part) => {
    const identity = { ...IDENTITY, ...part }
    const read = await readNodeKey(keys, await makeNodeKey(keys, identity))
    expect(read).toEqual({ ok: true, value: { ...identity, keyId: 1 } })
  })

  it('of a node that waits for approval is of a format of its own: a Worker of before says `retry`', async () => {
    expect(await makeNodeKey(keys, { ...IDENTITY, awaitsApproval: true })).toMatch(/^oen2-[A-Za-z0-9_-]{80}$/)
  })

  it('with a flag that only a newer Worker knows is unknown', async () => {
    const payload = new Uint8Array(43)
    payload[42] = 3
    const newer = await seal(keys, { name: 'oen', format: 2, payloadBytes: 43 }, payload)
    expect(await readNodeKey(keys, newer)).toEqual({ ok: false, reason: 'unknown-format' })
  })

  it('has 84 header-safe characters (at most 200, design 4)', async () => {
    expect(await makeNodeKey(keys, IDENTITY)).toMatch(/^oen1-[A-Za-z0-9_-]{79}$/)
  })

  it('issued again is another text, and both are valid', async () => {
    const first = await makeNodeKey(keys, IDENTITY)
    const second = await makeNodeKey(keys, { ...IDENTITY, issuedAtS: IDENTITY.issuedAtS + 1 })
    expect(second).not.toBe(first)
    for (const key of [first, second]) expect((await readNodeKey(keys, key)).ok).toBe(true)
  })

  it('is no query id, and a query id is no node key', async () => {
    const { environmentId, ordinal } = IDENTITY
    const queryId = await makeQueryId(keys, { environmentId, number: 1, shards: 4, ordinal })
    expect(await readNodeKey(keys, queryId)).toEqual({ ok: false, reason: 'foreign' })
  })

  it('is remembered once it verified, by the signing keys that it verified under alone', async () => {
    const key = await makeNodeKey(keys, { ...IDENTITY, ordinal: 1 })
    expect(knownKey(keys, key)).toBeUndefined()
    await readNodeKey(keys, key)
    expect(knownKey(keys, key)?.identity.ordinal).toBe(1)
    expect(knownKey(await signingKeys('k2'), key)).toBeUndefined()
  })

  it('that does not verify is not remembered', async () => {
    const key = await makeNodeKey(keys, { ...IDENTITY, ordinal: 2 })
    const forged = `${key.slice(0, -4)}AAAA`
    expect((await readNodeKey(keys, forged)).ok).toBe(false)
    expect(knownKey(keys, forged)).toBeUndefined()
    expect(await readNodeKey(keys, forged)).toEqual({ ok: false, reason: 'bad-mac' })
  })
})
