/** Secrets with rules, as agents meet them: a refusal is `retry`, and nobody who is in is thrown out. */

import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { enrollWith, keyIn, makeSecret, SECRETS } from '../support/enrolling.ts'
import { startServer, type TestServer } from '../support/harness.ts'
import { allPages, created } from '../support/operator.ts'

let server: TestServer
beforeAll(async () => {
  server = await startServer({ entry: 'test/faults/entry.ts' })
})
afterAll(() => server.close())

/** A cold isolate has the newest directory. */
const COLD = { 'x-test-cold': '1' }

interface Shown {
  id: string
  state: string
  nodes: number
  enrollCount: number
  refusedCount: number
  lastUsedAt: string | null
  lastRefusedAt: string | null
}

async function shown(id: string): Promise<Shown> {
  return created<Shown>(await server.operator('GET', `${SECRETS}/${id}`), 200)
}

async function nodeNamed(hostname: string): Promise<{ id: string; tags: string[] } | undefined> {
  const [node] = await allPages<{ id: string; tags: string[] }>(
    server,
    `/environments/default/nodes?q=${hostname}`,
    10,
  )
  return node
}

describe('a quota', () => {
  it('of ten lets in exactly ten of a hundred who come at once', async () => {
    const { id, secret } = await makeSecret(server, { quota: 10 })
    const names = Array.from({ length: 100 }, (_, i) => `crowd-${i}`)
    // An agent that is told to wait comes again: until each was let in or refused by the rule.
    const outcomes = await Promise.all(
      names.map((name) =>
        server.until(async () => {
          const reply = await enrollWith(server, secret, { name, headers: COLD })
          if (keyIn(reply) !== undefined) return 'in'
          expect(reply.text).toBe('retry')
          return reply.status === 403 ? 'refused' : null
        }),
      ),
    )
    expect(outcomes.filter((outcome) => outcome === 'in')).toHaveLength(10)
    expect(await shown(id)).toMatchObject({ state: 'exhausted', nodes: 10 })
    const { results } = await server.env.DB.prepare(
      `SELECT COUNT(*) AS nodes, COUNT(DISTINCT ordinal) AS ordinals FROM nodes WHERE hostname LIKE 'crowd-%'`,
    ).all()
    expect(results).toEqual([{ nodes: 10, ordinals: 10 }])
    // Who is in comes back as often as it likes, all at once too; no other gets in.
    const again = await Promise.all(
      names.map(async (name, i) => {
        const reply = await server.until(async () => {
          const answer = await enrollWith(server, secret, { name, headers: COLD })
          return answer.status === 503 ? null : answer
        })
        return [outcomes[i], keyIn(reply) === undefined ? 'refused' : 'in']
      }),
    )
    for (const [first, second] of again) expect(second).toBe(first)
    expect((await shown(id)).nodes).toBe(10)
  })

  it('has a place again when a node is deleted, and takes it when that node returns', async () => {
    const { id, secret } = await makeSecret(server, { quota: 1 })
    await enrollWith(server, secret, { name: 'first-in' })
    expect((await enrollWith(server, secret, { name: 'second-in' })).status).toBe(403)
    const node = await nodeNamed('first-in')
    await server.operator('DELETE', `/environments/default/nodes/${node?.id}`)
    expect((await shown(id)).nodes).toBe(0)
    expect(keyIn(await enrollWith(server, secret, { name: 'first-in' }))).toBeDefined()
    expect((await enrollWith(server, secret, { name: 'second-in' })).status).toBe(403)
    expect(await shown(id)).toMatchObject({ nodes: 1, state: 'exhausted' })
  })

  it('is of each secret: a node that another let in passes, and uses no place', async () => {
    const other = await makeSecret(server)
    await enrollWith(server, other.secret, { name: 'let-in-before' })
    const { id, secret } = await makeSecret(server, { quota: 1 })
    expect(keyIn(await enrollWith(server, secret, { name: 'let-in-before' }))).toBeDefined()
    expect((await shown(id)).nodes).toBe(0)
    expect(keyIn(await enrollWith(server, secret, { name: 'a-new-one' }))).toBeDefined()
    expect(keyIn(await enrollWith(server, secret, { name: 'let-in-before' }))).toBeDefined()
  })
})

describe('networks', () => {
  it('let in who Cloudflare saw there, IPv4 and IPv6', async () => {
    const { secret } = await makeSecret(server, { cidrs: ['198.51.100.0/24', '2001:db8:5::/48'] })
    const from = async (address: string) =>
      (await enrollWith(server, secret, { name: 'networked', address })).status
    expect(await from('198.51.100.200')).toBe(200)
    expect(await from('2001:db8:5:1::9')).toBe(200)
    expect(await from('198.51.101.1')).toBe(403)
    expect(await from('2001:db8:6::1')).toBe(403)
  })

  it('never believe what a client says of itself', async () => {
    const { secret } = await makeSecret(server, { cidrs: ['198.51.100.0/24'] })
    const headers = {
      'x-forwarded-for': '198.51.100.1',
      'x-real-ip': '198.51.100.1',
      'true-client-ip': '198.51.100.1',
      forwarded: 'for=198.51.100.1',
    }
    const reply = await enrollWith(server, secret, { name: 'liar', address: '192.0.2.1', headers })
    expect([reply.status, reply.text]).toEqual([403, 'retry'])
  })

  it('are judged before D1 is asked', async () => {
    const { secret } = await makeSecret(server, { cidrs: ['198.51.100.0/24'] })
    const reply = await enrollWith(server, secret, { name: 'elsewhere', address: '192.0.2.1' })
    expect(reply.status).toBe(403)
    const calls = JSON.parse(reply.headers.get('x-test-calls') ?? '{}') as Record<string, number>
    expect(Object.keys(calls).filter((call) => call.startsWith('DB'))).toEqual([])
  })
})

describe('platforms', () => {
  it('are names or families', async () => {
    const { secret } = await makeSecret(server, { platforms: ['Darwin', 'rhel'] })
    const of = async (platform: string, platformType: string) =>
      (await enrollWith(server, secret, { name: `on-${platform}`, platform, platformType })).status
    expect(await of('darwin', '21')).toBe(200)
    expect(await of('rhel', '9')).toBe(200)
    expect(await of('ubuntu', '9')).toBe(403)
    expect(await of('windows', '2')).toBe(403)
  })
})

describe('serials', () => {
  it('are thousands, compared without case, and no part of the directory', async () => {
    const serials = Array.from({ length: 5_000 }, (_, i) => ` C02-${String(i).padStart(6, '0')} `)
    const { id, secret } = await makeSecret(server, { serials })
    expect(keyIn(await enrollWith(server, secret, { name: 'listed', serial: 'c02-004999' }))).toBeDefined()
    const refused = await enrollWith(server, secret, { name: 'unlisted', serial: 'C02-005000' })
    expect([refused.status, refused.text]).toEqual([403, 'retry'])
    expect((await enrollWith(server, secret, { name: 'no-serial', serial: '' })).status).toBe(403)
    expect(await nodeNamed('unlisted')).toBeUndefined()
    const directory = await server.env.DIRECTORY.getByName('directory').read()
    expect(JSON.stringify(directory)).not.toContain('c02-')
    expect(directory.secrets.find((one) => one.id === id)?.rules).toEqual({ hasSerials: true })
  })

  it('cost one statement when they let in, and one more when they do not', async () => {
    const { secret } = await makeSecret(server, { serials: ['one-serial'], quota: 5 })
    const callsOf = async (serial: string) => {
      const reply = await enrollWith(server, secret, { name: `counted-${serial}`, serial })
      const calls = JSON.parse(reply.headers.get('x-test-calls') ?? '{}') as Record<string, number>
      return calls['DB.first']
    }
    expect(await callsOf('one-serial')).toBe(1)
    expect(await callsOf('another')).toBe(2)
  })
})

function tick() {
  return server.worker.scheduled({ cron: '* * * * *', scheduledTime: new Date() })
}

async function revision(): Promise<number> {
  const statement = server.env.DB.prepare(`SELECT revision FROM environments WHERE name = 'default'`)
  return (await statement.first<number>('revision')) ?? 0
}

describe('tags', () => {
  it('are there with the node, for targets too', async () => {
    const { secret } = await makeSecret(server, { tags: ['laptop', 'site-berlin'] })
    expect(keyIn(await enrollWith(server, secret, { name: 'tagged-host' }))).toBeDefined()
    expect((await nodeNamed('tagged-host'))?.tags).toEqual(['laptop', 'site-berlin'])
    const body = { targets: { tags: ['site-berlin'] } }
    const preview = await server.operator('POST', '/environments/default/queries/preview', body)
    expect(preview.json()).toMatchObject({ nodes: 1 })
  })

  it('that an operator took away stay away, those of another secret are added', async () => {
    const first = await makeSecret(server, { tags: ['one', 'two'] })
    const second = await makeSecret(server, { tags: ['two', 'three'] })
    await enrollWith(server, first.secret, { name: 'retagged' })
    const node = await nodeNamed('retagged')
    await server.operator('PUT', `/environments/default/nodes/${node?.id}/tags`, { tags: ['one', 'own'] })
    await enrollWith(server, first.secret, { name: 'retagged' })
    expect((await nodeNamed('retagged'))?.tags).toEqual(['one', 'own'])
    await enrollWith(server, second.secret, { name: 'retagged' })
    expect((await nodeNamed('retagged'))?.tags).toEqual(['one', 'own', 'three'])
    const of = async ({ id }: { id: string }) =>
      (await allPages(server, `/environments/default/nodes?enrollSecret=${id}`, 10)).length
    expect([await of(first), await of(second)]).toEqual([0, 1])
  })

  it('give the node the layers of that tag, once the minute has come', async () => {
    const document = { schedule: { 'of the layer': { query: 'SELECT 1', interval: 60 } } }
    const layer = { match: { tag: 'layered' }, document }
    created(await server.operator('PUT', '/environments/default/configuration/layers/layered', layer), 200)
    const { secret } = await makeSecret(server, { tags: ['layered'] })
    await tick()
    const before = await revision()
    await tick()
    // Nothing to do, nothing raised.
    expect(await revision()).toBe(before)
    const nodeKey = keyIn(await enrollWith(server, secret, { name: 'layered-host' }))
    const configuration = async () =>
      (await server.agent('/api/osquery/config', { node_key: nodeKey }, COLD)).text
    expect(await configuration()).not.toContain('of the layer')
    await tick()
    expect(await configuration()).toContain('of the layer')
    expect(await revision()).toBe(before + 1)
    await tick()
    expect(await revision()).toBe(before + 1)
  })
})

describe('who is in', () => {
  it('stays in whatever becomes of its secret', async () => {
    const { id, secret } = await makeSecret(server, { cidrs: ['198.51.100.0/24'] })
    const host = { name: 'long-in', address: '198.51.100.1' }
    const nodeKey = keyIn(await enrollWith(server, secret, host))
    const works = async () =>
      (await server.agent('/api/osquery/config', { node_key: nodeKey }, COLD)).text.includes('schedule')
    expect(await works()).toBe(true)
    // Enrolled anew from elsewhere, as with --enroll_always on a journey.
    expect((await enrollWith(server, secret, { ...host, address: '192.0.2.1' })).text).toBe('retry')
    expect(await works()).toBe(true)
    await server.operator('PATCH', `${SECRETS}/${id}`, { serials: ['another'] })
    expect((await enrollWith(server, secret, { ...host, headers: COLD })).text).toBe('retry')
    expect(await works()).toBe(true)
    await server.operator('POST', `${SECRETS}/${id}/revoke`)
    expect((await enrollWith(server, secret, { ...host, headers: COLD })).text).toBe('{"node_invalid":true}')
    expect(await works()).toBe(true)
    const node = await nodeNamed('long-in')
    expect(node).toBeDefined()
  })
})

describe('when D1 is away', () => {
  it('is retry for who may come in, and still a refusal for who may not', async () => {
    const { secret } = await makeSecret(server, { cidrs: ['198.51.100.0/24'] })
    const headers = { 'x-test-faults': 'DB=throw' }
    const may = await enrollWith(server, secret, { name: 'unlucky', address: '198.51.100.1', headers })
    expect([may.status, may.text]).toEqual([503, 'retry'])
    const mayNot = await enrollWith(server, secret, { name: 'unlucky', address: '192.0.2.1', headers })
    expect([mayNot.status, mayNot.text]).toEqual([403, 'retry'])
  })
})

describe('counts', () => {
  it('come into the list by one write for all, and each minute tells what became of enrolls', async () => {
    const { id, secret } = await makeSecret(server, { cidrs: ['198.51.100.0/24'] })
    // Cold isolates tell their first at once.
    for (let i = 0; i < 3; i += 1)
      await enrollWith(server, secret, { name: `counted-${i}`, address: '198.51.100.1', headers: COLD })
    await enrollWith(server, secret, { name: 'counted-0', address: '192.0.2.1', headers: COLD })
    await enrollWith(server, 'no such secret', { name: 'x', headers: COLD })
    await enrollWith(server, 'no such secret', { name: 'x', headers: COLD, path: '/default/enroll' })
    const attempts = await server.until(async () => {
      const reply = await server.operator('GET', '/environments/default/enroll-attempts?minutes=5')
      const { totals, items } = reply.json<{
        totals: Record<string, number>
        items: { at: string; outcome: string; count: number }[]
      }>()
      return (totals['network'] ?? 0) >= 1 && (totals['wrong-secret'] ?? 0) === 1 ? items : null
    })
    expect(attempts[0]?.at).toMatch(/:00\.000Z$/)
    const nowhere = await server.operator('GET', '/enroll-attempts')
    expect(nowhere.json()).toMatchObject({ totals: { 'wrong-secret': 1 } })
    // The alarm is due within a minute; here it comes at once.
    await (server.env.DIRECTORY.getByName('directory') as unknown as { runAlarm(): Promise<void> }).runAlarm()
    const told = await server.until(async () => {
      const secretNow = await shown(id)
      return secretNow.enrollCount === 3 && secretNow.refusedCount === 1 ? secretNow : null
    })
    expect(told.lastUsedAt).not.toBeNull()
    expect(told.lastRefusedAt).not.toBeNull()
    expect(JSON.stringify([attempts, nowhere.json()])).not.toContain('no such secret')
  })

  it('refuse bad parameters', async () => {
    for (const minutes of ['0', 'x', '10081', '-1'])
      expect((await server.operator('GET', `/enroll-attempts?minutes=${minutes}`)).status).toBe(422)
  })
})
