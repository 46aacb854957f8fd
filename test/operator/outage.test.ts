import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { OPERATOR_TOKEN, startServer, type Reply, type TestServer } from '../support/harness.ts'
import { created, enrollHost, problemOf } from '../support/operator.ts'

let server: TestServer
let query: { id: string }
beforeAll(async () => {
  server = await startServer({ entry: 'test/faults/entry.ts' })
  await enrollHost(server, 'web-1')
  query = created(
    await server.operator('POST', '/environments/default/queries', {
      sql: 'SELECT 1',
      targets: { all: true },
    }),
  )
})
afterAll(() => server.close())

async function withFaults(faults: string, method: string, path: string, body?: unknown): Promise<Reply> {
  const response = await server.harness.fetch(`/api/v1${path}`, {
    method,
    headers: { authorization: `Bearer ${OPERATOR_TOKEN}`, 'x-test-faults': faults },
    body: body === undefined ? null : JSON.stringify(body),
  })
  const text = await response.text()
  return {
    status: response.status,
    text,
    headers: response.headers as unknown as Headers,
    json: <T>() => JSON.parse(text) as T,
  }
}

describe('an operator in an outage', () => {
  it.each([
    ['DB=throw', 'GET', '/environments'],
    ['DB=throw', 'GET', '/operator-tokens'],
    ['PRESENCE=throw', 'GET', '/environments/default/nodes'],
    ['PRESENCE=hang', 'GET', '/environments/default/nodes'],
    ['DB=throw', 'GET', '/signing-keys'],
    ['DB=throw', 'GET', '/environments/default/blocks'],
    ['ENVIRONMENT=throw', 'GET', '/environments/default'],
    ['ANSWER_SHARD=throw', 'GET', '/environments/default/queries'],
    ['ANSWER_SHARD=hang', 'GET', '/environments/default/queries'],
    ['ANSWER_SHARD=throw', 'GET', '/environments/default/queries/ID'],
    ['ANSWER_SHARD=throw', 'GET', '/environments/default/queries/ID/results'],
    ['ANSWER_SHARD=throw', 'GET', '/environments/default/queries/ID/answers'],
  ])('is told 503 and nothing else: %s, %s %s', async (faults, method, path) => {
    const reply = await withFaults(faults, method, path.replace('ID', query.id))
    expect(problemOf(reply)).toEqual({ status: 503, pointers: [] })
    expect(reply.text).not.toMatch(/SELECT|injected|DB/)
  })

  it.each(['throw', 'hang'])('changes what D1 holds, and hears that it is not live yet: %s', async (mode) => {
    const document = { schedule: { [mode]: { query: 'SELECT 1' } } }
    const put = await withFaults(
      `ENVIRONMENT=${mode}`,
      'PUT',
      '/environments/default/configuration',
      document,
    )
    expect(created(put, 200)).toMatchObject({ live: false })
    expect((await server.operator('GET', '/environments/default/configuration')).json()).toEqual(document)
    const secret = await withFaults(`DIRECTORY=${mode}`, 'POST', '/environments/default/enroll-secrets', {
      name: mode,
    })
    expect(created(secret)).toMatchObject({ live: false })
  })

  it('revokes nothing where it cannot be told what that would do', async () => {
    const path = '/environments/default/keys'
    for (const faults of ['DB=throw', 'PRESENCE=throw', 'DIRECTORY=hang'])
      expect(problemOf(await withFaults(faults, 'POST', `${path}/revoke`, { maxNodes: 9 })).status).toBe(503)
    expect((await server.operator('GET', path)).json()).toMatchObject({ revocations: [] })
  })

  it('revokes though the environment is away, and hears that it is not live yet', async () => {
    const path = '/environments/default/keys'
    const reply = await withFaults('ENVIRONMENT=throw', 'POST', `${path}/revoke`, { maxNodes: 9 })
    const { id } = created<{ id: string }>(reply, 200)
    expect(reply.json()).toMatchObject({ live: false, nodes: 1 })
    expect((await server.operator('DELETE', `${path}/revocations/${id}`)).status).toBe(204)
  })

  it('erases a query though its shards are away: the environment finishes that later', async () => {
    const path = `/environments/default/queries/${query.id}`
    expect((await withFaults('ANSWER_SHARD=throw', 'DELETE', path)).status).toBe(204)
    expect(problemOf(await server.operator('GET', path)).status).toBe(404)
  })

  it('leaves no SQL and no parameters in the log', () => {
    const logged = server.harness
      .getLogs()
      .filter(({ message }) => /operator-failure|not-live|erase-later/.test(message))
    expect(logged.length).toBeGreaterThan(5)
    expect(logged.filter(({ message }) => /select|insert|oeo_|injected/i.test(message))).toEqual([])
  })
})
