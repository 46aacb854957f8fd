import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { OPERATOR_TOKEN, startServer, type TestServer } from '../support/harness.ts'
import { allPages, created, makeEnvironment, problemOf } from '../support/operator.ts'

let server: TestServer
beforeAll(async () => {
  server = await startServer()
})
afterAll(() => server.close())

async function call(method: string, path: string, authorization?: string) {
  const response = await server.harness.fetch(`/api/v1${path}`, {
    method,
    headers: authorization === undefined ? {} : { authorization },
  })
  const text = await response.text()
  return {
    status: response.status,
    text,
    headers: response.headers as unknown as Headers,
    json: <T>() => JSON.parse(text) as T,
  }
}

interface OpenApi {
  openapi: string
  paths: Record<string, Record<string, { responses: Record<string, unknown> }>>
}

async function describedRoutes(): Promise<[method: string, path: string][]> {
  const { paths } = created<OpenApi>(await server.operator('GET', '/openapi.json'), 200)
  return Object.entries(paths).flatMap(([path, methods]) =>
    Object.keys(methods).map((method): [string, string] => [method.toUpperCase(), path]),
  )
}

/** Routes of one thing that take a body or need a parameter, and judge it first. */
const JUDGED_FIRST = [
  '/enroll-secrets/{id}/rotate',
  '/nodes/{id}/query',
  '/nodes/{id}/block',
  '/nodes/{id}/merge',
  '/signing-keys/{id}/revoke',
  '/signing-keys/{id}/revoke/preview',
  '/queries/{id}/rerun',
  '/queries/{id}/groups',
  '/sinks/{id}/replay',
  '/sinks/{id}/quarantine/replay',
]

/** Part of the contract: an outside harness calls these. */
const CONTRACT = `
GET /environments|POST /environments|GET /environments/{env}
GET /environments/{env}/enroll-secrets|POST /environments/{env}/enroll-secrets|GET /environments/{env}/enroll-secrets/{id}|PATCH /environments/{env}/enroll-secrets/{id}|DELETE /environments/{env}/enroll-secrets/{id}
POST /environments/{env}/enroll-secrets/{id}/rotate|POST /environments/{env}/enroll-secrets/{id}/revoke
GET /environments/{env}/enroll-attempts|GET /enroll-attempts
GET /environments/{env}/nodes|GET /environments/{env}/nodes/{id}|PUT /environments/{env}/nodes/{id}/tags
DELETE /environments/{env}/nodes/{id}|PUT /environments/{env}/configuration|GET /environments/{env}/configuration
POST /environments/{env}/queries|GET /environments/{env}/queries|GET /environments/{env}/queries/{id}
GET /environments/{env}/queries/{id}/results|GET /environments/{env}/queries/{id}/answers
POST /environments/{env}/queries/{id}/stop|DELETE /environments/{env}/queries/{id}
GET /operator-tokens|POST /operator-tokens|DELETE /operator-tokens/{id}|GET /audit`

describe('the OpenAPI document', () => {
  it('lists each route of the contract', async () => {
    const described = (await describedRoutes()).map((route) => route.join(' '))
    expect(described).toEqual(expect.arrayContaining(CONTRACT.trim().split(/[|\n]/)))
  })
})

describe('every route', () => {
  it('wants a token, and says so the same way for each wrong one', async () => {
    const routes = await describedRoutes()
    expect(routes.length).toBeGreaterThan(20)
    for (const [method, path] of [...routes, ['GET', '/openapi.json'], ['GET', '/nowhere']] as const) {
      const url = path.replace('{env}', 'default').replace('{id}', crypto.randomUUID())
      const reply = await call(method, url)
      expect([path, problemOf(reply)]).toEqual([path, { status: 401, pointers: [] }])
      expect(reply.headers.get('www-authenticate')).toMatch(/^Bearer/)
    }
    for (const wrong of [
      'Bearer x',
      'Bearer ',
      `Basic ${OPERATOR_TOKEN}`,
      `Bearer ${OPERATOR_TOKEN}x`,
      OPERATOR_TOKEN,
      `Bearer ${OPERATOR_TOKEN} x`,
      `NodeKey ${OPERATOR_TOKEN}`,
    ]) {
      expect(problemOf(await call('GET', '/environments', wrong)).status).toBe(401)
    }
  })

  it('is not there in an environment that is not there', async () => {
    for (const [method, path] of await describedRoutes()) {
      if (!path.includes('{env}')) continue
      const url = path.replace('{env}', 'nowhere').replace('{id}', crypto.randomUUID())
      expect([path, problemOf(await server.operator(method, url)).status]).toEqual([path, 404])
    }
  })

  it('answers 404 to ids that are not there', async () => {
    for (const [method, path] of await describedRoutes()) {
      const isJudgedFirst =
        method === 'PUT' || method === 'PATCH' || JUDGED_FIRST.some((end) => path.endsWith(end))
      if (!path.includes('{id}') || isJudgedFirst) continue
      const ids = [crypto.randomUUID(), 'x', '%00', "'--"]
      const urls = ids.map((id) => path.replace('{env}', 'default').replace('{id}', id))
      const replies = await Promise.all(urls.map((url) => server.operator(method, url)))
      expect([path, ...replies.map((reply) => problemOf(reply).status)]).toEqual([path, 404, 404, 404, 404])
    }
  })
})

describe('a path that nobody serves', () => {
  it('is a problem under the admin route, and retry for agents', async () => {
    for (const path of [
      '/',
      '/nowhere',
      '/environments/default/nowhere',
      '/environments/default/nodes/x/y',
    ]) {
      expect([path, problemOf(await server.operator('GET', path)).status]).toEqual([path, 404])
    }
    expect(problemOf(await server.operator('PATCH', '/environments')).status).toBe(404)
    expect((await server.agent('/api/v1/osquery/nowhere', {})).text).toBe('retry')
  })
})

describe('operator tokens', () => {
  it('are shown once, work at once, and do not any more once deleted', async () => {
    const made = created<{ id: string; token: string }>(
      await server.operator('POST', '/operator-tokens', { name: 'ci' }),
    )
    expect(made.token).toMatch(/^oeo_[A-Za-z0-9_-]{43}$/)
    expect((await call('GET', '/environments', `Bearer ${made.token}`)).status).toBe(200)
    const list = await server.operator('GET', '/operator-tokens')
    expect(list.text).not.toContain(made.token)
    expect(list.json()).toMatchObject({
      items: [{ id: made.id, name: 'ci', createdBy: 'first' }, { name: 'first' }],
    })
    // A token may delete itself, as long as another is left.
    expect((await call('DELETE', `/operator-tokens/${made.id}`, `Bearer ${made.token}`)).status).toBe(204)
    expect((await call('GET', '/environments', `Bearer ${made.token}`)).status).toBe(401)
  })

  it('never lose the last one', async () => {
    const [last] = await allPages<{ id: string }>(server, '/operator-tokens', 10)
    expect(problemOf(await server.operator('DELETE', `/operator-tokens/${last?.id}`)).status).toBe(409)
    expect((await server.operator('GET', '/environments')).status).toBe(200)
  })

  it.each([{}, { name: '' }, { name: 'x'.repeat(201) }, { name: 'x', token: 'mine' }])(
    'refuse %j',
    async (body) => {
      expect(problemOf(await server.operator('POST', '/operator-tokens', body)).status).toBe(422)
    },
  )
})

describe('the audit', () => {
  it('has who did what to what, newest first, and nothing of what was refused or read', async () => {
    const { id } = await makeEnvironment(server, 'audited')
    await server.operator('PUT', '/environments/audited/configuration', {
      schedule: { q: { query: 'SELECT 42' } },
    })
    await server.operator('PUT', '/environments/audited/configuration', { schedule: [] })
    await server.operator('GET', '/environments/audited')
    const rows = await allPages<{ action: string; detail: unknown }>(server, '/audit?environment=audited', 2)
    expect(rows.map(({ action }) => action)).toEqual([
      'configuration.put',
      'enroll-secret.create',
      'environment.create',
    ])
    expect(rows[2]).toEqual({
      id: expect.any(String) as string,
      at: expect.stringMatching(/Z$/) as string,
      actor: 'first',
      action: 'environment.create',
      environmentId: id,
      subject: id,
      detail: { name: 'audited' },
    })
    expect(JSON.stringify(rows)).not.toContain('SELECT')
    const all = await allPages<{ action: string }>(server, '/audit', 3)
    expect(all.map(({ action }) => action)).toContain('operator-token.delete')
    expect(problemOf(await server.operator('GET', '/audit?environment=nowhere')).pointers).toEqual([
      'environment',
    ])
  })

  it('raises the revision with every change that snapshots hold', async () => {
    const before = created<{ revision: number }>(await server.operator('GET', '/environments/audited'), 200)
    const put = await server.operator('PUT', '/environments/audited/configuration', { schedule: {} })
    expect(put.json()).toMatchObject({ revision: before.revision + 1, live: true })
    const after = created<{ revision: number }>(await server.operator('GET', '/environments/audited'), 200)
    expect(after.revision).toBe(before.revision + 1)
  })
})

describe('an outage', () => {
  it('is a 503 that shows nothing of the database', async () => {
    await server.env.DB.prepare('ALTER TABLE audit RENAME TO audit_gone').run()
    try {
      const reply = await server.operator('POST', '/environments', { name: 'never-made' })
      expect(problemOf(reply)).toEqual({ status: 503, pointers: [] })
      expect(reply.text).not.toMatch(/insert|audit|never-made|sqlite/i)
    } finally {
      await server.env.DB.prepare('ALTER TABLE audit_gone RENAME TO audit').run()
    }
    expect(problemOf(await server.operator('GET', '/environments/never-made')).status).toBe(404)
  })
})
