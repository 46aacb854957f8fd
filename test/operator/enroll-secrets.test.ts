import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { ENROLL_SECRET, startServer, type TestServer } from '../support/harness.ts'
import { allPages, created, enrollHost, makeEnvironment, problemOf } from '../support/operator.ts'

let server: TestServer
beforeAll(async () => {
  server = await startServer()
  await makeEnvironment(server, 'other')
})
afterAll(() => server.close())

const SECRETS = '/environments/default/enroll-secrets'

function enroll(secret: string) {
  return server.agent('/api/osquery/enroll', { enroll_secret: secret, host_identifier: 'x' })
}

describe('enroll secrets', () => {
  it('are made, shown once, let agents in, and do not any more once deleted', async () => {
    const made = created<{ id: string; secret: string }>(
      await server.operator('POST', SECRETS, { name: 'laptops' }),
    )
    expect(made).toMatchObject({ name: 'laptops', live: true })
    expect(made.secret).toMatch(/^[A-Za-z0-9_-]{43}$/)
    const list = await server.operator('GET', SECRETS)
    expect(list.text).not.toContain(made.secret)
    expect(list.json<{ items: unknown[] }>().items[0]).toEqual({
      id: made.id,
      name: 'laptops',
      note: '',
      state: 'active',
      createdAt: expect.stringMatching(/Z$/) as string,
      expiresAt: null,
      revokedAt: null,
      rotatedFrom: null,
      quota: null,
      nodes: 0,
      tags: [],
      platforms: null,
      cidrs: null,
      serialCount: null,
      enrollCount: 0,
      refusedCount: 0,
      lastUsedAt: null,
      lastRefusedAt: null,
    })
    const nodeKey = await enrollHost(server, 'laptop', { secret: made.secret })
    expect((await server.operator('DELETE', `${SECRETS}/${made.id}`)).status).toBe(204)
    await server.until(async () => (await enroll(made.secret)).text === '{"node_invalid":true}')
    // What has enrolled stays.
    expect((await server.agent('/api/osquery/config', { node_key: nodeKey })).text).toContain('schedule')
    expect(problemOf(await server.operator('DELETE', `${SECRETS}/${made.id}`)).status).toBe(404)
  })

  it('can be imported as the text that agents have, blanks around it aside', async () => {
    const made = created<{ secret: string }>(
      await server.operator('POST', SECRETS, { name: 'from osctrl', secret: '  a b c ümlaut\n' }),
    )
    expect(made.secret).toBe('a b c ümlaut')
    await server.until(async () => (await enroll('a b c ümlaut\n')).text.includes('node_key'))
  })

  it('are never stored as they are', async () => {
    const { results } = await server.env.DB.prepare('SELECT * FROM enroll_secrets').all()
    expect(JSON.stringify(results)).not.toContain('ümlaut')
    const { results: audit } = await server.env.DB.prepare('SELECT * FROM audit').all()
    expect(JSON.stringify(audit)).not.toContain('ümlaut')
  })

  it('exist once in the deployment: a text names one environment', async () => {
    for (const env of ['default', 'other']) {
      const body = { name: 'again', secret: ` ${ENROLL_SECRET}` }
      const reply = await server.operator('POST', `/environments/${env}/enroll-secrets`, body)
      expect(problemOf(reply)).toEqual({ status: 409, pointers: ['/secret'] })
    }
  })

  it.each([
    [{ name: 'x', secret: ' \n' }, '/secret'],
    [{ name: 'x', secret: 'x'.repeat(1_025) }, '/secret'],
    [{ name: 'x', secret: 5 }, '/secret'],
    [{ name: ' ' }, '/name'],
    [{ name: 'a\u0007' }, '/name'],
    [{}, '/name'],
  ])('refuse %j', async (body, pointer) => {
    expect(problemOf(await server.operator('POST', SECRETS, body))).toEqual({
      status: 422,
      pointers: [pointer],
    })
  })

  it('are of one environment', async () => {
    const [mine] = await allPages<{ id: string }>(server, SECRETS, 1)
    const reply = await server.operator('DELETE', `/environments/other/enroll-secrets/${mine?.id}`)
    expect(problemOf(reply).status).toBe(404)
    expect(await allPages(server, '/environments/other/enroll-secrets', 1)).toHaveLength(1)
    expect((await enroll(ENROLL_SECRET)).text).toContain('node_key')
  })
})
