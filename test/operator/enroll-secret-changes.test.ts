/** Rules of enroll secrets as operators write them: changes, rotation, revocation, import, refusals. */

import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { sha256HexOfText } from '../../src/lib/bytes.ts'
import { enrollWith, keyIn, makeSecret, SECRETS } from '../support/enrolling.ts'
import { startServer, type TestServer } from '../support/harness.ts'
import { allPages, created, makeEnvironment, problemOf } from '../support/operator.ts'

let server: TestServer
beforeAll(async () => {
  server = await startServer({ entry: 'test/faults/entry.ts' })
  await makeEnvironment(server, 'other')
})
afterAll(() => server.close())

const HOUR_S = 3_600
const RULES = {
  note: 'for the Berlin office',
  quota: 3,
  tags: ['berlin', 'laptop'],
  platforms: ['darwin', 'linux'],
  cidrs: ['198.51.100.0/24', '2001:db8::/32'],
  serials: ['b-2', 'a-1'],
}

interface Shown {
  id: string
  secret: string
  state: string
  expiresAt: string | null
  nodes: number
}

function get(id: string): Promise<Shown> {
  return server.operator('GET', `${SECRETS}/${id}`).then((reply) => created<Shown>(reply, 200))
}

function post(id: string, verb: string, body?: unknown) {
  return server.operator('POST', `${SECRETS}/${id}/${verb}`, body)
}

/** A cold isolate has the newest directory. */
async function enters(secret: string, name: string, serial = `SN-${name}`): Promise<boolean> {
  const host = { name, serial, address: '198.51.100.7', headers: { 'x-test-cold': '1' } }
  return keyIn(await enrollWith(server, secret, host)) !== undefined
}

async function auditOf(id: string): Promise<{ action: string; detail: Record<string, unknown> }[]> {
  const rows = await allPages<{ action: string; subject: string; detail: Record<string, unknown> }>(
    server,
    '/audit?environment=default',
    100,
  )
  return rows.filter(({ subject }) => subject === id)
}

describe('the rules of a secret', () => {
  it('are shown as they are kept, serials in the detail alone', async () => {
    const expiresAt = new Date(Date.now() + 30 * 86_400_000).toISOString()
    const { id } = await makeSecret(server, {
      ...RULES,
      cidrs: ['198.51.100.77/24', '2001:DB8:0::1/32', '192.0.2.1'],
      platforms: ['Darwin', 'linux', 'darwin'],
      serials: [' B-2', 'a-1', 'A-1'],
      expiresAt,
    })
    const kept = {
      ...RULES,
      cidrs: ['198.51.100.0/24', '2001:db8::/32', '192.0.2.1'],
      state: 'active',
      expiresAt,
      nodes: 0,
    }
    expect(await get(id)).toMatchObject({ ...kept, serials: ['a-1', 'b-2'], serialCount: 2 })
    const [listed] = await allPages<Record<string, unknown>>(server, SECRETS, 1)
    expect(listed).toMatchObject({ id, tags: RULES.tags, serialCount: 2 })
    expect(listed).not.toHaveProperty('serials')
    expect(listed).not.toHaveProperty('secret')
  })

  it('change one by one, and go with null', async () => {
    const { id } = await makeSecret(server, RULES)
    const patch = (body: unknown) => server.operator('PATCH', `${SECRETS}/${id}`, body)
    expect(created(await patch({ quota: 5, name: 'renamed' }), 200)).toMatchObject({
      name: 'renamed',
      quota: 5,
      tags: RULES.tags,
      serialCount: 2,
      live: true,
    })
    expect(created(await patch({ serials: ['c-3'] }), 200)).toMatchObject({ quota: 5, serialCount: 1 })
    const none = { quota: null, tags: null, platforms: null, cidrs: null, note: '' }
    expect(created(await patch({ ...none, serials: null }), 200)).toMatchObject({
      ...none,
      tags: [],
      serialCount: null,
    })
    const { results } = await server.env.DB.prepare('SELECT rules FROM enroll_secrets WHERE id = ?')
      .bind(id)
      .all()
    expect(results).toEqual([{ rules: '{}' }])
    expect((await auditOf(id)).map(({ action, detail }) => [action, detail['serials']])).toEqual([
      ['enroll-secret.change', null],
      ['enroll-secret.change', 1],
      ['enroll-secret.change', undefined],
      ['enroll-secret.create', 2],
    ])
  })

  it('that two operators change at once are both changed', async () => {
    const { id } = await makeSecret(server, RULES)
    await Promise.all([
      server.operator('PATCH', `${SECRETS}/${id}`, { quota: 9 }),
      server.operator('PATCH', `${SECRETS}/${id}`, { tags: ['new'] }),
    ])
    expect(await get(id)).toMatchObject({ quota: 9, tags: ['new'], cidrs: RULES.cidrs })
  })

  const future = '2999-01-01T00:00:00Z'
  it.each([
    [{ quota: 0 }, '/quota'],
    [{ quota: 1.5 }, '/quota'],
    [{ quota: '5' }, '/quota'],
    [{ quota: 1_000_001 }, '/quota'],
    [{ expiresAt: '2020-01-01T00:00:00Z' }, '/expiresAt'],
    [{ expiresAt: 'tomorrow' }, '/expiresAt'],
    [{ expiresAt: 5 }, '/expiresAt'],
    [{ tags: ['a b'] }, '/tags/0'],
    [{ tags: Array.from({ length: 21 }, (_, i) => `t${i}`) }, '/tags'],
    [{ platforms: [] }, '/platforms'],
    [{ platforms: ['linux', ''] }, '/platforms/1'],
    [{ cidrs: [] }, '/cidrs'],
    [{ cidrs: ['10.0.0.0/8', '10.0.0.0/33'] }, '/cidrs/1'],
    [{ cidrs: ['10.0.0/8'] }, '/cidrs/0'],
    [{ cidrs: ['2001:db8::/129'] }, '/cidrs/0'],
    [{ cidrs: ['example.com'] }, '/cidrs/0'],
    [{ cidrs: Array.from({ length: 101 }, (_, i) => `10.0.0.${i}`) }, '/cidrs'],
    [{ serials: [] }, '/serials'],
    [{ serials: ['ok', ' '] }, '/serials/1'],
    [{ serials: ['x'.repeat(129)] }, '/serials/0'],
    [{ note: 'x'.repeat(2_001) }, '/note'],
    [{ state: 'active', note: 'more' }, '/state'],
  ])('refuse what breaks a rule (%#)', async (rules, pointer) => {
    const { id } = await makeSecret(server, { expiresAt: future })
    const refused = { status: 422, pointers: [pointer] }
    expect(problemOf(await server.operator('POST', SECRETS, { name: 'x', ...rules }))).toEqual(refused)
    expect(problemOf(await server.operator('PATCH', `${SECRETS}/${id}`, rules))).toEqual(refused)
  })

  it('a change must change something, of a secret that is there', async () => {
    const { id } = await makeSecret(server)
    expect(problemOf(await server.operator('PATCH', `${SECRETS}/${id}`, {})).status).toBe(422)
    for (const path of [`${SECRETS}/${crypto.randomUUID()}`, `/environments/other/enroll-secrets/${id}`]) {
      expect(problemOf(await server.operator('PATCH', path, { quota: 1 })).status).toBe(404)
      expect(problemOf(await server.operator('POST', `${path}/rotate`, { overlapSeconds: 0 })).status).toBe(
        404,
      )
      expect(problemOf(await server.operator('POST', `${path}/revoke`)).status).toBe(404)
    }
  })
})

describe('rotation', () => {
  it('makes a successor with the same rules; both work until the overlap is over', async () => {
    const { id, secret } = await makeSecret(server, RULES)
    const before = Date.now()
    const { serials: _, ...rest } = RULES
    const next = created<Shown>(await post(id, 'rotate', { overlapSeconds: HOUR_S }))
    expect(next).toMatchObject({ ...rest, serialCount: 2, rotatedFrom: id, live: true })
    expect(next.secret).toMatch(/^[A-Za-z0-9_-]{43}$/)
    const old = await get(id)
    expect(old.state).toBe('expiring')
    const endsAtMs = Date.parse(old.expiresAt ?? '')
    expect(endsAtMs).toBeGreaterThanOrEqual(before + HOUR_S * 1_000)
    expect(endsAtMs).toBeLessThanOrEqual(Date.now() + HOUR_S * 1_000)
    expect(next.expiresAt).toBeNull()
    expect([await enters(secret, 'with-old', 'a-1'), await enters(next.secret, 'with-new', 'B-2')]).toEqual([
      true,
      true,
    ])
    expect(await enters(next.secret, 'not-listed')).toBe(false)
    // Their quota is one.
    expect([(await get(id)).nodes, (await get(next.id)).nodes]).toEqual([2, 2])
    expect(await auditOf(id)).toMatchObject([
      { action: 'enroll-secret.rotate', detail: { successor: next.id, overlapSeconds: HOUR_S } },
      { action: 'enroll-secret.create' },
    ])
  })

  it('ends the old one by the server’s clock alone, with nobody about to do it', async () => {
    const { id, secret } = await makeSecret(server)
    const next = created<Shown>(await post(id, 'rotate', { overlapSeconds: 1 }))
    await server.until(async () => !(await enters(secret, 'late')))
    expect((await get(id)).state).toBe('expired')
    expect(await enters(next.secret, 'late')).toBe(true)
    // It is known which secret that was, and of which environment.
    const reply = await enrollWith(server, secret, { name: 'late' })
    expect([reply.status, reply.text]).toEqual([403, 'retry'])
  })

  it('without an overlap ends it at once; a line of rotations has one quota', async () => {
    const { id, secret } = await makeSecret(server, { quota: 1 })
    const second = created<Shown>(await post(id, 'rotate', { overlapSeconds: 0 }))
    expect(await enters(secret, 'too-late')).toBe(false)
    const third = created<Shown>(await post(second.id, 'rotate', { overlapSeconds: HOUR_S, name: 'third' }))
    expect(third).toMatchObject({ name: 'third', quota: 1 })
    expect(await enters(second.secret, 'the-only')).toBe(true)
    expect(await enters(third.secret, 'one-more')).toBe(false)
    expect(await enters(third.secret, 'the-only')).toBe(true)
    expect((await get(third.id)).state).toBe('exhausted')
  })

  it('never prolongs a secret, nor its successor', async () => {
    const expiresAt = new Date(Date.now() + 60_000).toISOString()
    const { id } = await makeSecret(server, { expiresAt })
    const next = created<Shown>(await post(id, 'rotate', { overlapSeconds: HOUR_S }))
    expect([(await get(id)).expiresAt, next.expiresAt]).toEqual([expiresAt, expiresAt])
  })

  it('is refused where it would not help: revoked, expired, rotated already', async () => {
    const revoked = await makeSecret(server)
    await post(revoked.id, 'revoke')
    const rotated = await makeSecret(server)
    const next = created<Shown>(await post(rotated.id, 'rotate', { overlapSeconds: HOUR_S }))
    const ended = await makeSecret(server)
    await post(ended.id, 'rotate', { overlapSeconds: 0 })
    for (const { id } of [revoked, rotated, ended])
      expect(problemOf(await post(id, 'rotate', { overlapSeconds: 5 })).status).toBe(409)
    expect((await post(rotated.id, 'rotate', { overlapSeconds: 5 })).text).toContain(next.id)
    // A successor that was revoked is none: the old one may be rotated again.
    await post(next.id, 'revoke')
    expect((await post(rotated.id, 'rotate', { overlapSeconds: 5 })).status).toBe(201)
  })

  it.each([
    [{}, '/overlapSeconds'],
    [{ overlapSeconds: -1 }, '/overlapSeconds'],
    [{ overlapSeconds: 'long' }, '/overlapSeconds'],
    [{ overlapSeconds: 1, quota: 5 }, '/quota'],
    [{ overlapSeconds: 1, secret: 'a', secretSha256: 'a'.repeat(64) }, '/secretSha256'],
  ])('refuses %j', async (body, pointer) => {
    const { id } = await makeSecret(server)
    expect(problemOf(await post(id, 'rotate', body))).toEqual({ status: 422, pointers: [pointer] })
    expect((await get(id)).state).toBe('active')
  })
})

describe('revoking', () => {
  it('ends a secret at once, keeps it in the list, and may be said twice', async () => {
    const { id, secret } = await makeSecret(server)
    expect(await enters(secret, 'before')).toBe(true)
    const revoked = created<{ state: string; revokedAt: string }>(await post(id, 'revoke'), 200)
    expect(revoked.state).toBe('revoked')
    expect(await enters(secret, 'after')).toBe(false)
    const again = created<{ revokedAt: string }>(await post(id, 'revoke'), 200)
    expect(again.revokedAt).toBe(revoked.revokedAt)
    expect((await auditOf(id)).map(({ action }) => action)).toContain('enroll-secret.revoke')
  })

  it('is known at once by isolates that are warm, within the age of their directory', async () => {
    const { id, secret } = await makeSecret(server)
    await enrollWith(server, secret, { name: 'warm' })
    await post(id, 'revoke')
    await server.until(async () => {
      const reply = await enrollWith(server, secret, { name: 'warm' })
      return reply.text === '{"node_invalid":true}'
    }, 15_000)
  })
})

describe('a secret from another server', () => {
  it('comes in by its SHA-256 alone, and its text is known to nobody here', async () => {
    const text = 'what the old server gave out'
    const secretSha256 = await sha256HexOfText(text)
    const made = created<{ secret: null }>(
      await server.operator('POST', SECRETS, { name: 'moved', secretSha256: secretSha256.toUpperCase() }),
    )
    expect(made.secret).toBeNull()
    expect(await enters(text, 'moved-host')).toBe(true)
    expect(problemOf(await server.operator('POST', SECRETS, { name: 'again', secret: text })).status).toBe(
      409,
    )
  })

  it('may be the successor of one', async () => {
    const { id } = await makeSecret(server)
    const next = created<Shown>(await post(id, 'rotate', { overlapSeconds: 5, secret: 'chosen by hand' }))
    expect(next.secret).toBe('chosen by hand')
    expect(await enters('chosen by hand', 'by-hand')).toBe(true)
  })

  it.each([
    [{ secretSha256: 'abc' }, '/secretSha256'],
    [{ secretSha256: 'g'.repeat(64) }, '/secretSha256'],
    [{ secretSha256: 'a'.repeat(64), secret: 'both' }, '/secretSha256'],
  ])('refuses %j', async (body, pointer) => {
    const reply = await server.operator('POST', SECRETS, { name: 'x', ...body })
    expect(problemOf(reply)).toEqual({ status: 422, pointers: [pointer] })
  })
})

it('serials go with their secret', async () => {
  const { id } = await makeSecret(server, { serials: ['gone'] })
  await server.operator('DELETE', `${SECRETS}/${id}`)
  const { results } = await server.env.DB.prepare('SELECT * FROM enroll_serials WHERE secret_id = ?')
    .bind(id)
    .all()
  expect(results).toEqual([])
})

describe('how many secrets', () => {
  const INSERT = `INSERT INTO enroll_secrets (id, environment_id, name, secret_hash, created_at, expires_at)
    SELECT 'bulk-' || value, e.id, 'bulk', 'hash-' || value, 0, ?2 FROM environments AS e,
      json_each(?1) WHERE e.name = 'other'`

  function fill(from: number, count: number, expiresAtMs: number | null) {
    const ids = JSON.stringify(Array.from({ length: count }, (_, i) => from + i))
    return server.env.DB.prepare(INSERT).bind(ids, expiresAtMs).run()
  }

  it('an environment has is limited; those that ended long ago do not count, and are not in the directory', async () => {
    const OTHER = '/environments/other/enroll-secrets'
    await fill(0, 600, Date.now() - 31 * 86_400_000)
    await fill(1_000, 498, Date.now() - 86_400_000)
    const last = await makeSecret(server, {}, OTHER)
    const directory = await server.env.DIRECTORY.getByName('directory').read()
    const here = directory.secrets.filter(({ id }) => id === last.id || id?.startsWith('bulk-') === true)
    expect(here).toHaveLength(499)
    for (const path of [OTHER, `${OTHER}/${last.id}/rotate`]) {
      const body = path === OTHER ? { name: 'one too many' } : { overlapSeconds: 5 }
      expect(problemOf(await server.operator('POST', path, body)).status).toBe(409)
    }
    await server.operator('POST', `${OTHER}/${last.id}/revoke`)
    expect((await server.operator('POST', OTHER, { name: 'again' })).status).toBe(201)
  })
})
