/** /signing-keys: a rotation from k1 to k2, as far as the server sees it. */

import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { makeNodeKey, readNodeKey } from '../../src/agent/node-key.ts'
import { noteSigningKeys } from '../../src/db/signing-keys.ts'
import { startServer, type TestServer } from '../support/harness.ts'
import { created, enrollHost, makeEnvironment, problemOf } from '../support/operator.ts'
import { signingKeys, signingSecret } from '../support/signing-keys.ts'

let server: TestServer
let nodeKey: string
/** The same node's key of before the switch. */
let oldKey: string
const K1 = await signingKeys('k1')

beforeAll(async () => {
  server = await startServer({ secrets: { SIGNING_KEYS: signingSecret('k2', ['k1', 'k2']) } })
  nodeKey = await server.enroll('web-1')
  oldKey = await ofBefore(nodeKey)
})
afterAll(() => server.close())

interface Key {
  id: string
  current: boolean
  inSecret: boolean
  fingerprint: string
  nodes: number
  replacedAt: string | null
  revocation: { remaining: number } | null
  retirable: boolean
  blockers: { kind: string }[]
}

async function keys(): Promise<Key[]> {
  return created<{ items: Key[] }>(await server.operator('GET', '/signing-keys'), 200).items
}

async function key(id: string): Promise<Key | undefined> {
  return (await keys()).find((one) => one.id === id)
}

/** A key of the same node that was issued a while ago under k1. */
async function ofBefore(present: string): Promise<string> {
  const read = await readNodeKey(await signingKeys('k2', ['k1', 'k2']), present)
  if (!read.ok) throw new Error('a key that the server made')
  const { keyId, ...identity } = read.value
  expect(keyId).toBe(2)
  return makeNodeKey(K1, { ...identity, issuedAtS: identity.issuedAtS - 60 })
}

async function told(text: string): Promise<string> {
  const reply = await server.agent('/api/osquery/config', { node_key: text })
  if (reply.text === 'retry') return 'retry'
  return reply.json<{ node_invalid?: boolean }>().node_invalid === true ? 'invalid' : 'ok'
}

/** As if the node had enrolled under k1 and did not since. */
async function enrolledUnderOld(): Promise<void> {
  await server.env.DB.prepare('UPDATE nodes SET signing_key_id = 1, enrolled_at = enrolled_at - 60000').run()
}

async function tick(): Promise<void> {
  await server.worker.scheduled({ cron: '* * * * *', scheduledTime: new Date() })
}

describe('signing keys', () => {
  it('are shown by id and fingerprint, never themselves, with the nodes that hold keys of each', async () => {
    const reply = await server.operator('GET', '/signing-keys')
    expect(reply.json()).toMatchObject({ current: 'k2', unknownNodes: 0 })
    expect(await keys()).toMatchObject([
      { id: 'k1', current: false, inSecret: true, nodes: 0, retirable: false },
      { id: 'k2', current: true, inSecret: true, nodes: 1, blockers: [{ kind: 'current' }] },
    ])
    for (const { fingerprint } of await keys()) expect(fingerprint).toMatch(/^[0-9a-f]{16}$/)
    for (const part of signingSecret('k2', ['k1', 'k2']).match(/[A-Za-z0-9+/=]{20,}/g) ?? [])
      expect(reply.text).not.toContain(part)
  })

  it('are noted each minute: since when they are there, and when another became current', async () => {
    const fingerprints = new Map((await keys()).map(({ id, fingerprint }) => [id, fingerprint]))
    const seen = (keyId: number, isCurrent: boolean) => ({
      keyId,
      isCurrent,
      fingerprint: fingerprints.get(`k${keyId}`) ?? '',
    })
    await noteSigningKeys(server.env.DB, [seen(1, true)], 1_000)
    await tick()
    const { replacedAt } = (await key('k1')) ?? {}
    expect(replacedAt).toMatch(/^20/)
    await tick()
    expect((await key('k1'))?.replacedAt).toBe(replacedAt)
    expect(await key('k1')).toMatchObject({ firstSeenAt: '1970-01-01T00:00:01.000Z' })
  })

  it('of before the switch go on verifying', async () => {
    expect(await told(oldKey)).toBe('ok')
  })
})

describe('revoking what is under a signing key', () => {
  it('is refused for the current one, and for one that never was', async () => {
    expect(problemOf(await server.operator('POST', '/signing-keys/k2/revoke', { maxNodes: 9 })).status).toBe(
      409,
    )
    expect(problemOf(await server.operator('POST', '/signing-keys/k9/revoke', { maxNodes: 9 })).status).toBe(
      404,
    )
    const broken = await server.operator('POST', '/signing-keys/k256/revoke', { maxNodes: 9 })
    expect(problemOf(broken).status).toBe(404)
  })

  it('is previewed, and guarded by the number of nodes', async () => {
    await enrolledUnderOld()
    const preview = await server.operator('POST', '/signing-keys/k1/revoke/preview', {})
    expect(preview.json()).toMatchObject({ nodes: 1, online: 1, lockedOut: 0 })
    const refused = await server.operator('POST', '/signing-keys/k1/revoke', { maxNodes: 0 })
    expect(problemOf(refused)).toEqual({ status: 422, pointers: ['/maxNodes'] })
    expect(await told(oldKey)).toBe('ok')
  })

  it('makes the nodes that hold such keys enroll anew, in every environment; newer keys count', async () => {
    const { secret } = await makeEnvironment(server, 'other')
    const elsewhere = await ofBefore(await enrollHost(server, 'db-1', { secret }))
    const reply = await server.operator('POST', '/signing-keys/k1/revoke', { maxNodes: 1 })
    expect(created(reply, 200)).toMatchObject({ live: true, nodes: 1 })
    for (const text of [oldKey, elsewhere]) await server.until(async () => (await told(text)) === 'invalid')
    expect(await told(nodeKey)).toBe('ok')
    expect(await key('k1')).toMatchObject({ nodes: 1, revocation: { remaining: 1 }, retirable: false })
    expect(problemOf(await server.operator('POST', '/signing-keys/k1/revoke', { maxNodes: 1 })).status).toBe(
      409,
    )
  })

  it('lets the key be retired once its nodes came back under the current one and a day is over', async () => {
    await server.env.DB.prepare('UPDATE nodes SET signing_key_id = 2').run()
    expect((await key('k1'))?.blockers.map(({ kind }) => kind)).toEqual(['in-flight'])
    await server.env.DB.prepare('UPDATE signing_keys SET replaced_at = 1 WHERE key_id = 1').run()
    expect(await key('k1')).toMatchObject({ retirable: true, blockers: [] })
  })

  it('waits for secrets that only this key opens', async () => {
    const { DB } = server.env
    await DB.prepare(
      `INSERT INTO sinks (id, environment_id, name, kind, settings, secrets, secret_names, filter, delivery, paused,
         created_at, updated_at)
       SELECT 's', id, 'siem', 'https', '{}', 'oes1.1.nonce.sealed', '["bearerToken"]', '{}', '{}', 1, 0, 0
       FROM environments WHERE name = 'default'`,
    ).run()
    expect((await key('k1'))?.blockers.map(({ kind }) => kind)).toEqual(['sealed'])
    await DB.prepare('DELETE FROM sinks').run()
  })

  it('is taken back while the key is there', async () => {
    expect((await server.operator('DELETE', '/signing-keys/k1/revocation')).status).toBe(204)
    await server.until(async () => (await told(oldKey)) === 'ok')
    expect(problemOf(await server.operator('DELETE', '/signing-keys/k1/revocation')).status).toBe(404)
  })
})
