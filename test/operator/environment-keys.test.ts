/** /environments/{env}/keys: revoking the node keys of an environment. */

import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { startServer, type TestServer } from '../support/harness.ts'
import { created, enrollHost, makeEnvironment, problemOf } from '../support/operator.ts'

let server: TestServer
beforeAll(async () => {
  server = await startServer()
})
afterAll(() => server.close())

interface Plan {
  nodes: number
  online: number
  lockedOut: number
  overSeconds: number
  warnings: string[]
}

/** What an agent with this key is told: `ok`, `invalid` or `retry`. */
async function told(nodeKey: string): Promise<string> {
  const reply = await server.agent('/api/osquery/config', { node_key: nodeKey })
  if (reply.text === 'retry') return 'retry'
  return reply.json<{ node_invalid?: boolean }>().node_invalid === true ? 'invalid' : 'ok'
}

/** An environment of its own with nodes web-0 …, enrolled in the past so that "now" is after all of them. */
async function fleet(name: string, count: number) {
  const { id, secret } = await makeEnvironment(server, name)
  const enrollAgain = (index: number) =>
    enrollHost(server, `web-${index}`, { secret, uuid: uuidOf(id, index) })
  const keys: string[] = []
  for (let index = 0; index < count; index += 1) keys.push(await enrollAgain(index))
  await nextSecond()
  return { id, keys, enrollAgain, path: `/environments/${name}/keys` }
}

function uuidOf(id: string, index: number): string {
  return `${id.slice(0, -4)}${String(index).padStart(4, '0')}`
}

/** Keys are of whole seconds. */
async function nextSecond(): Promise<void> {
  const second = Math.floor(Date.now() / 1_000)
  await server.until(async () => Math.floor(Date.now() / 1_000) > second)
}

describe('revoking the keys of an environment', () => {
  it('is previewed: how many nodes, how many of them online; nothing is revoked by that', async () => {
    const { keys, path } = await fleet('previewed', 3)
    const plan = created<Plan>(await server.operator('POST', `${path}/revoke/preview`, {}), 200)
    expect(plan).toMatchObject({ nodes: 3, online: 3, lockedOut: 0, overSeconds: 0, warnings: [] })
    expect(await server.operator('GET', path).then((reply) => reply.json())).toEqual({
      bySigningKey: [{ signingKey: 'k1', nodes: 3 }],
      revocations: [],
    })
    for (const key of keys) expect(await told(key)).toBe('ok')
  })

  it('makes its agents enroll anew: they stay the nodes that they were', async () => {
    const { keys, enrollAgain, path } = await fleet('revoked', 2)
    const other = await fleet('untouched', 1)
    const reply = await server.operator('POST', `${path}/revoke`, { maxNodes: 2 })
    const { id } = created<Plan & { id: string }>(reply, 200)
    expect(reply.json()).toMatchObject({ nodes: 2, live: true, revision: expect.any(Number) as number })
    for (const key of keys) await server.until(async () => (await told(key)) === 'invalid')
    expect(await told(other.keys[0] ?? '')).toBe('ok')
    await nextSecond()
    const fresh = await enrollAgain(0)
    expect(await told(fresh)).toBe('ok')
    const { items } = (await server.operator('GET', '/environments/revoked/nodes')).json<{
      items: object[]
    }>()
    expect(items).toHaveLength(2)
    const { revocations } = (await server.operator('GET', path)).json<{ revocations: object[] }>()
    expect(revocations).toEqual([expect.objectContaining({ id, nodes: 2, remaining: 1, signingKey: null })])
    const audit = (await server.operator('GET', '/audit?limit=1')).json<{ items: object[] }>()
    expect(audit.items[0]).toMatchObject({ action: 'keys.revoke', detail: { nodes: 2, id } })
  })

  it('that were issued before a time leaves newer ones alone', async () => {
    const { keys, enrollAgain, path } = await fleet('by-time', 1)
    const issuedBefore = new Date().toISOString()
    await nextSecond()
    const second = await enrollAgain(1)
    const plan = await server.operator('POST', `${path}/revoke/preview`, { issuedBefore })
    expect(plan.json()).toMatchObject({ nodes: 1 })
    created(await server.operator('POST', `${path}/revoke`, { issuedBefore, maxNodes: 1 }), 200)
    await server.until(async () => (await told(keys[0] ?? '')) === 'invalid')
    expect(await told(second)).toBe('ok')
  })

  it('over a time reaches nobody at once, and can be taken back', async () => {
    const { keys, path } = await fleet('paced', 2)
    const body = { maxNodes: 2, overSeconds: 600_000 }
    const { id } = created(await server.operator('POST', `${path}/revoke`, body), 200)
    expect(await Promise.all(keys.map(told))).toEqual(['ok', 'ok'])
    expect((await server.operator('DELETE', `${path}/revocations/${id}`)).status).toBe(204)
    expect((await server.operator('GET', path)).json()).toMatchObject({ revocations: [] })
    expect(problemOf(await server.operator('DELETE', `${path}/revocations/${id}`)).status).toBe(404)
  })

  it('over a time reaches all of them in the end, decided by the head and the clock', async () => {
    const { id, keys, path } = await fleet('waves', 4)
    created(await server.operator('POST', `${path}/revoke`, { maxNodes: 4, overSeconds: 2 }), 200)
    const head = await server.env.ENVIRONMENT.getByName(id).head()
    expect(head).toMatchObject({ minimumIssuedAtS: 0, revocations: [{ overS: 2 }] })
    for (const key of keys) await server.until(async () => (await told(key)) === 'invalid')
  })

  it('taken back makes keys count again that were not replaced', async () => {
    const { keys, path } = await fleet('mistaken', 1)
    const { id } = created(await server.operator('POST', `${path}/revoke`, { maxNodes: 1 }), 200)
    await server.until(async () => (await told(keys[0] ?? '')) === 'invalid')
    expect((await server.operator('DELETE', `${path}/revocations/${id}`)).status).toBe(204)
    await server.until(async () => (await told(keys[0] ?? '')) === 'ok')
  })

  it('of another environment cannot be taken back here, nor what is too long ago', async () => {
    const { id: environmentId, path } = await fleet('owner', 1)
    const { id } = created(await server.operator('POST', `${path}/revoke`, { maxNodes: 1 }), 200)
    const elsewhere = await server.operator('DELETE', `/environments/default/keys/revocations/${id}`)
    expect(problemOf(elsewhere).status).toBe(404)
    await server.env.DB.prepare(
      'UPDATE key_revocations SET from_s = from_s - 700000 WHERE environment_id = ?',
    )
      .bind(environmentId)
      .run()
    expect(problemOf(await server.operator('DELETE', `${path}/revocations/${id}`)).status).toBe(409)
  })
})

describe('revoking is guarded', () => {
  it('against more nodes than were expected', async () => {
    const { keys, path } = await fleet('more', 2)
    const reply = await server.operator('POST', `${path}/revoke`, { maxNodes: 1 })
    expect(problemOf(reply)).toEqual({ status: 422, pointers: ['/maxNodes'] })
    expect(reply.text).toContain('2 nodes')
    expect(await told(keys[0] ?? '')).toBe('ok')
  })

  it('against locking nodes out that no secret would let in again, unless it is forced', async () => {
    const { keys, path } = await fleet('locked', 1)
    const secrets = '/environments/locked/enroll-secrets'
    const [secret] = (await server.operator('GET', secrets)).json<{ items: { id: string }[] }>().items
    await server.operator('DELETE', `${secrets}/${secret?.id}`)
    const plan = (await server.operator('POST', `${path}/revoke/preview`, {})).json<Plan>()
    expect(plan).toMatchObject({ lockedOut: 1, warnings: [expect.stringContaining('locked out')] })
    const refused = await server.operator('POST', `${path}/revoke`, { maxNodes: 1 })
    expect(problemOf(refused)).toEqual({ status: 422, pointers: ['/force'] })
    expect(await told(keys[0] ?? '')).toBe('ok')
    created(await server.operator('POST', `${path}/revoke`, { maxNodes: 1, force: true }), 200)
    await server.until(async () => (await told(keys[0] ?? '')) === 'invalid')
  })

  it('against more than fifty in a week: every isolate reads them with the head', async () => {
    const { id, path } = await fleet('often', 1)
    await server.env.DB.prepare(
      `WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 50)
       INSERT INTO key_revocations (id, environment_id, issued_before_s, from_s, over_s, nodes, created_at, created_by)
       SELECT 'r' || i, ?1, i, ?2, 0, 0, 0, 'test' FROM n`,
    )
      .bind(id, Math.floor(Date.now() / 1_000))
      .run()
    expect(problemOf(await server.operator('POST', `${path}/revoke`, { maxNodes: 1 })).status).toBe(409)
  })

  it('against a brownout, in which nobody could enroll', async () => {
    const { path } = await fleet('dark', 1)
    created(await server.operator('PUT', '/environments/dark/brownout', { on: true, reason: 'a test' }), 200)
    const plan = (await server.operator('POST', `${path}/revoke/preview`, {})).json<Plan>()
    expect(plan.warnings).toEqual([expect.stringContaining('brownout')])
    const refused = await server.operator('POST', `${path}/revoke`, { maxNodes: 1 })
    expect(problemOf(refused)).toEqual({ status: 422, pointers: ['/force'] })
  })

  it.each([
    [{}, '/maxNodes'],
    [{ maxNodes: -1 }, '/maxNodes'],
    [{ maxNodes: 1.5 }, '/maxNodes'],
    [{ maxNodes: 1, overSeconds: -1 }, '/overSeconds'],
    [{ maxNodes: 1, overSeconds: 604_801 }, '/overSeconds'],
    [{ maxNodes: 1, issuedBefore: 'yesterday' }, '/issuedBefore'],
    [{ maxNodes: 1, issuedBefore: '2126-01-01T00:00:00Z' }, '/issuedBefore'],
    [{ maxNodes: 1, issuedbefore: '2026-01-01T00:00:00Z' }, '/issuedbefore'],
  ])('against %j', async (body, pointer) => {
    const reply = await server.operator('POST', '/environments/default/keys/revoke', body)
    expect(problemOf(reply)).toEqual({ status: 422, pointers: [pointer] })
  })
})
