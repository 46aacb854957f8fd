/** What an isolate may answer from memory, and what it must look at more closely (design R3, R9). */

import { describe, expect, it } from 'vitest'
import { authenticate, recognise, recogniseKey } from '../../src/agent/authenticate.ts'
import type { AgentContext } from '../../src/agent/context.ts'
import { makeNodeKey, readNodeKey, type NodeIdentity } from '../../src/agent/node-key.ts'
import { NodeSet } from '../../src/fleet/node-set.ts'
import { supersededBytes } from '../../src/fleet/superseded.ts'
import type { DirectoryEnvironment, EnvironmentHead } from '../../src/snapshot/head.ts'
import { SnapshotUnavailable } from '../../src/snapshot/source.ts'
import { signingKeys } from '../support/signing-keys.ts'

const keys = await signingKeys('k1')
const NOW_MS = 1_800_000_000_000
const MINUTE_MS = 60_000
const ENVIRONMENT_ID = '0192f0e1-d2c3-7a6b-8c5d-9e8f00112233'
const HEAD: EnvironmentHead = {
  format: 1,
  environmentId: ENVIRONMENT_ID,
  name: 'default',
  revision: 1,
  publication: 1,
  minimumIssuedAtS: 0,
  configurationVersion: 1,
  configurationParts: ['part'],
  revokedPart: null,
  queries: [],
}

const OF_ITS_KEY = { keyId: 1, issuedBeforeS: 1_700_000_001, fromS: 1_700_000_001, overS: 0 }

let lastOrdinal = 0

/** A key that no test saw before: what verified is remembered for all of them. */
function newKey(part: Partial<NodeIdentity> = {}): Promise<string> {
  return makeNodeKey(keys, {
    environmentId: ENVIRONMENT_ID,
    nodeId: '0192f0e1-d2c3-7a6b-8c5d-9e8f44556677',
    ordinal: (lastOrdinal += 1),
    platformFamily: 'linux',
    splayBucket: 3,
    issuedAtS: 1_700_000_000,
    ...part,
  })
}

/** A poll with this key in the header and that one in the body, and the memory of its isolate. */
function poll(
  headerKey: string | null,
  bodyKey: string,
  {
    atMs = NOW_MS,
    head = HEAD,
    revoked,
    superseded,
    isFresh = true,
    directory = {},
  }: {
    atMs?: number
    head?: EnvironmentHead
    revoked?: NodeSet
    /** Missing: the part is neither in memory nor anywhere else. */
    superseded?: Uint8Array<ArrayBuffer>
    isFresh?: boolean
    directory?: { retiredKeyIds?: number[]; environments?: DirectoryEnvironment[] }
  } = {},
) {
  const body = JSON.stringify({ node_key: bodyKey })
  const headers: Record<string, string> = { 'content-length': String(body.length) }
  if (headerKey !== null) headers['authorization'] = `NodeKey ${headerKey}`
  const counted: string[] = []
  const context = {
    request: new Request('https://agents.example.com/', { method: 'POST', body, headers }),
    keys,
    receivedAtMs: atMs,
    environmentReference: null,
    presence: { count: (_node: unknown, what: string) => counted.push(what) },
    snapshots: {
      known: { head: () => (isFresh ? head : null), part: () => superseded, nodeSet: () => revoked },
      head: async () => head,
      part: async () => {
        if (superseded === undefined) throw new SnapshotUnavailable('no layer has it')
        return superseded
      },
      directory: async () => ({ environments: [], ...directory }),
    },
  } as unknown as AgentContext
  return { context, counted, body: bodyKey }
}

/** A poll that is looked at closely; what was counted of it. */
async function looked(...args: Parameters<typeof poll>): Promise<string[]> {
  const { context, counted, body } = poll(...args)
  await authenticate(context, body)
  return counted
}

describe('a poll is answered without its body', () => {
  it('after one that named the same key in both places', async () => {
    const key = await newKey()
    expect(recognise(poll(key, key).context)).toBeNull()
    await looked(key, key)
    expect(recognise(poll(key, key).context)?.identity.ordinal).toBe(lastOrdinal)
  })

  it('after one that named no key in the body', async () => {
    const key = await newKey()
    await looked(key, '')
    expect(recognise(poll(key, '').context)).not.toBeNull()
  })

  it('but not where the body is of another length: another key may be in it', async () => {
    const key = await newKey()
    await looked(key, key)
    expect(recognise(poll(key, '').context)).toBeNull()
  })

  it('nor after a quarter of an hour', async () => {
    const key = await newKey()
    await looked(key, key)
    expect(recognise(poll(key, key, { atMs: NOW_MS + 14 * MINUTE_MS }).context)).not.toBeNull()
    expect(recognise(poll(key, key, { atMs: NOW_MS + 16 * MINUTE_MS }).context)).toBeNull()
  })

  it('nor where two valid keys differ: that is counted each time', async () => {
    const [key, another] = [await newKey(), await newKey()]
    for (let i = 0; i < 2; i += 1) {
      expect(recognise(poll(key, another).context)).toBeNull()
      expect(await looked(key, another)).toEqual(['two-valid-keys'])
    }
  })

  it('nor without a key in the header', async () => {
    const key = await newKey()
    await looked(null, key)
    expect(recognise(poll(null, key).context)).toBeNull()
  })
})

describe('a key that verified before is looked at more closely', () => {
  it.each<[string, Parameters<typeof poll>[2]]>([
    ['while the head is not fresh', { isFresh: false }],
    ['once its environment refuses keys of its time', { head: { ...HEAD, minimumIssuedAtS: 1_700_000_001 } }],
    ['once it is revoked by name of its signing key', { head: { ...HEAD, revocations: [OF_ITS_KEY] } }],
    ['while the revoked nodes are not in memory', { head: { ...HEAD, revokedPart: 'revoked' } }],
  ])('%s', async (_name, options) => {
    const key = await newKey()
    await readNodeKey(keys, key)
    expect(recogniseKey(poll(key, key).context, key)).not.toBeNull()
    expect(recogniseKey(poll(key, key, options).context, key)).toBeNull()
  })

  it('when its node is revoked, and only then', async () => {
    const [key, another] = [await newKey(), await newKey()]
    const revoked = NodeSet.of([lastOrdinal])
    const options = { head: { ...HEAD, revokedPart: 'revoked' }, revoked }
    for (const one of [key, another]) await readNodeKey(keys, one)
    expect(recogniseKey(poll(key, key, options).context, key)).not.toBeNull()
    expect(recogniseKey(poll(another, another, options).context, another)).toBeNull()
  })

  it('where it waits for approval and the approved nodes are not in memory', async () => {
    const key = await newKey({ awaitsApproval: true })
    await readNodeKey(keys, key)
    const approved = NodeSet.of([lastOrdinal])
    const head = { ...HEAD, approvedPart: 'approved' }
    const none = { head: { ...HEAD, supersededPart: null } }
    expect(recogniseKey(poll(key, key, none).context, key)).toMatchObject({ isPending: true })
    // A Worker of before compiled it, who knew of no approval.
    expect(recogniseKey(poll(key, key).context, key)).toBeNull()
    expect(recogniseKey(poll(key, key, { head }).context, key)).toBeNull()
    expect(recogniseKey(poll(key, key, { head, revoked: approved }).context, key)).toMatchObject({
      isPending: false,
    })
    expect(recogniseKey(poll(key, key, { head, revoked: new NodeSet() }).context, key)).toMatchObject({
      isPending: true,
    })
  })

  it('where the URL names an environment', async () => {
    const key = await newKey()
    await readNodeKey(keys, key)
    const context = { ...poll(key, key).context, environmentReference: 'default' }
    expect(recogniseKey(context, key)).toBeNull()
  })
})

/** What a key comes to, looked at closely. */
async function outcomeOf(key: string, options: Parameters<typeof poll>[2]): Promise<string> {
  const { context } = poll(null, key, options)
  const node = await authenticate(context, key)
  if (node.ok) return node.value.isPending ? 'pending' : 'admitted'
  return node.reason.kind === 'node-invalid' || node.reason.kind === 'retry'
    ? `${node.reason.kind} ${node.reason.reason.kind}`
    : node.reason.kind
}

describe('a key that was revoked', () => {
  it('with its signing key is invalid, and one of another signing key is not', async () => {
    const head = { ...HEAD, revocations: [OF_ITS_KEY] }
    expect(await outcomeOf(await newKey(), { head })).toBe('node-invalid issued-too-early')
    const other = { ...HEAD, revocations: [{ ...OF_ITS_KEY, keyId: 2 }] }
    expect(await outcomeOf(await newKey(), { head: other })).toBe('admitted')
  })

  it('counts again when it was issued after that: nobody enrolls in a loop', async () => {
    const head = { ...HEAD, revocations: [OF_ITS_KEY], minimumIssuedAtS: 1_700_000_001 }
    expect(await outcomeOf(await newKey({ issuedAtS: 1_700_000_001 }), { head })).toBe('admitted')
  })
})

describe('a key of another machine than the one that has the node', () => {
  const head = { ...HEAD, supersededPart: 'superseded' }
  const before = (minimumIssuedAtS: number) => supersededBytes([{ ordinal: lastOrdinal, minimumIssuedAtS }])

  it('is invalid: it was issued before the second that the head names', async () => {
    const key = await newKey()
    expect(await outcomeOf(key, { head, superseded: before(1_700_000_001) })).toBe('node-invalid superseded')
    expect(await outcomeOf(key, { head, superseded: before(1_700_000_000) })).toBe('admitted')
    expect(await outcomeOf(await newKey(), { head, superseded: supersededBytes([]) })).toBe('admitted')
  })

  it('is still good for what it brings', async () => {
    const key = await newKey()
    const { context } = poll(null, key, { head, superseded: before(1_700_000_001) })
    expect((await authenticate(context, key, 'taken')).ok).toBe(true)
  })

  it('goes on where the part is gone: a Worker of before may have let it go (R3)', async () => {
    expect(await outcomeOf(await newKey(), { head })).toBe('admitted')
  })

  it('goes on while nobody may enroll', async () => {
    const paused = { id: ENVIRONMENT_ID, name: 'default', enrollPaused: { untilMs: null } }
    const options = { head, directory: { environments: [paused] } }
    const key = await newKey()
    expect(await outcomeOf(key, { ...options, superseded: before(1_700_000_001) })).toBe('admitted')
  })

  it('is never answered from memory; one of the machine that has the node is, where the part is there', async () => {
    const key = await newKey()
    await readNodeKey(keys, key)
    const recognised = (options: Parameters<typeof poll>[2]) =>
      recogniseKey(poll(key, key, options).context, key)
    expect(recognised({ head, superseded: before(1_700_000_001) })).toBeNull()
    expect(recognised({ head })).toBeNull()
    expect(recognised({ head, superseded: before(1_700_000_000) })).not.toBeNull()
    expect(recognised({ head: { ...HEAD, supersededPart: null } })).not.toBeNull()
  })
})

describe('a key under a signing key that is not known here', () => {
  it('is `retry`: another Worker may know it (R3)', async () => {
    const key = await makeNodeKey(await signingKeys('k7'), { ...(await identity()), ordinal: 1 })
    expect(await outcomeOf(key, {})).toBe('retry unknown-key-format')
    expect(await outcomeOf(key, { directory: { retiredKeyIds: [6] } })).toBe('retry unknown-key-format')
  })

  it('is invalid where operators retired that signing key', async () => {
    const key = await makeNodeKey(await signingKeys('k7'), { ...(await identity()), ordinal: 1 })
    expect(await outcomeOf(key, { directory: { retiredKeyIds: [7] } })).toBe('node-invalid foreign-key')
  })

  it('is read as ever while the signing key is known, retired or not: the head decides', async () => {
    expect(await outcomeOf(await newKey(), { directory: { retiredKeyIds: [1] } })).toBe('admitted')
  })

  it('is `retry` where it is of another format, whatever was retired', async () => {
    const newer = (await newKey()).replace('oen1-', 'oen3-')
    expect(await outcomeOf(newer, { directory: { retiredKeyIds: [1, 7] } })).toBe('retry unknown-key-format')
  })
})

describe('a node that waits for approval', () => {
  it('is pending until the head names it as approved', async () => {
    const key = await newKey({ awaitsApproval: true })
    expect(await outcomeOf(key, { head: { ...HEAD, supersededPart: null } })).toBe('pending')
  })

  it('is neither by a head of before there was approval', async () => {
    const key = await newKey({ awaitsApproval: true })
    await expect(outcomeOf(key, {})).rejects.toThrow(SnapshotUnavailable)
  })

  it('is neither where the approved nodes cannot be had: an empty configuration would wipe an approved one', async () => {
    const key = await newKey({ awaitsApproval: true })
    const head = { ...HEAD, approvedPart: 'approved' }
    const { context } = poll(null, key, { head })
    context.snapshots.nodeSet = () => Promise.reject(new Error('no layer has it'))
    await expect(authenticate(context, key)).rejects.toThrow('no layer has it')
  })
})

async function identity(): Promise<NodeIdentity> {
  const read = await readNodeKey(keys, await newKey())
  if (!read.ok) throw new Error('a key that was made here')
  return read.value
}
