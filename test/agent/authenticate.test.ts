/** What an isolate may answer from memory, and what it must look at more closely (design R3, R9). */

import { describe, expect, it } from 'vitest'
import { authenticate, recognise, recogniseKey } from '../../src/agent/authenticate.ts'
import type { AgentContext } from '../../src/agent/context.ts'
import { makeNodeKey, readNodeKey, type NodeIdentity } from '../../src/agent/node-key.ts'
import { NodeSet } from '../../src/fleet/node-set.ts'
import type { EnvironmentHead } from '../../src/snapshot/head.ts'
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
    isFresh = true,
  }: { atMs?: number; head?: EnvironmentHead; revoked?: NodeSet; isFresh?: boolean } = {},
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
      known: { head: () => (isFresh ? head : null), part: () => undefined, nodeSet: () => revoked },
      head: async () => head,
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

  it('where the URL names an environment', async () => {
    const key = await newKey()
    await readNodeKey(keys, key)
    const context = { ...poll(key, key).context, environmentReference: 'default' }
    expect(recogniseKey(context, key)).toBeNull()
  })
})
