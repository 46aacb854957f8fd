import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { STARTER_CONFIGURATION, startServer, type TestServer } from '../support/harness.ts'
import { created, enrollHost, problemOf } from '../support/operator.ts'

let server: TestServer
beforeAll(async () => {
  server = await startServer()
})
afterAll(() => server.close())

const PATH = '/environments/default/configuration'

interface Stored {
  version: number
  revision: number
  live: boolean
  sha256: string
  bytes: number
  warnings: { pointer: string; detail: string }[]
}

describe('the configuration', () => {
  it('is shown as it is stored', async () => {
    const reply = await server.operator('GET', PATH)
    expect([reply.status, reply.text]).toEqual([200, STARTER_CONFIGURATION])
    expect(reply.headers.get('x-configuration-version')).toBe('1')
  })

  it('goes to agents byte for byte but for whitespace, and one text is one version', async () => {
    const text =
      '{ "options": {"distributed_interval": 10},\n "z": 1e2, "schedule": {"2": {"query": "SELECT \\u0031"}, "1": {"query":"x"}} }\n'
    const compact =
      '{"options":{"distributed_interval":10},"z":1e2,"schedule":{"2":{"query":"SELECT \\u0031"},"1":{"query":"x"}}}'
    const stored = created<Stored>(await server.operator('PUT', PATH, text), 200)
    expect(stored).toMatchObject({ version: 2, live: true, bytes: compact.length })
    expect(stored.sha256).toMatch(/^[0-9a-f]{64}$/)
    expect(stored.warnings.map(({ pointer }) => pointer)).toEqual(['/z'])
    expect((await server.operator('GET', PATH)).text).toBe(compact)
    const again = created<Stored>(await server.operator('PUT', PATH, compact), 200)
    expect(again).toEqual(stored)
    const nodeKey = await enrollHost(server, 'web-1')
    await server.until(async () => {
      const served = await server.agent('/api/osquery/config', { node_key: nodeKey })
      return served.text === compact
    })
  })

  it('is refused with the place of each fault, and nothing changes', async () => {
    const before = (await server.operator('GET', PATH)).text
    const reply = await server.operator('PUT', PATH, { schedule: { a: {}, b: { query: 'x', interval: 0 } } })
    expect(problemOf(reply)).toEqual({ status: 422, pointers: ['/schedule/a', '/schedule/b/interval'] })
    expect((await server.operator('GET', PATH)).text).toBe(before)
  })

  it('answers 400 to what is not JSON, 422 to what agents find too large, 413 to what nobody reads', async () => {
    expect(problemOf(await server.operator('PUT', PATH, '{"schedule":{},}'))).toEqual({
      status: 400,
      pointers: [],
    })
    const filler = `{"a":"${'x'.repeat(1_048_576)}"}`
    expect(problemOf(await server.operator('PUT', PATH, filler))).toEqual({ status: 422, pointers: [''] })
    const nobody = await server.operator('PUT', PATH, `{"a":"${'x'.repeat(4_200_000)}"}`)
    expect(problemOf(nobody)).toEqual({ status: 413, pointers: [] })
  })

  it('may be just under a mebibyte', async () => {
    const text = JSON.stringify({ schedule: { q: { query: 'x', description: 'y'.repeat(1_048_000) } } })
    const stored = created<Stored>(await server.operator('PUT', PATH, text), 200)
    expect(stored).toMatchObject({ bytes: text.length, live: true })
    expect((await server.operator('GET', PATH)).text).toBe(text)
  })

  it('is each environment\u2019s own', async () => {
    await server.operator('POST', '/environments', { name: 'other' })
    const other = await server.operator('GET', '/environments/other/configuration')
    expect(other.json()).toEqual({ schedule: {}, packs: {} })
    expect(other.headers.get('x-configuration-version')).toBe('1')
  })

  it('counts versions without gaps when several operators write at once', async () => {
    const texts = [1, 2, 3, 4].map((index) => ({ schedule: { [`q${index}`]: { query: 'x' } } }))
    const stored = await Promise.all(
      texts.map(async (text) =>
        created<Stored>(await server.operator('PUT', '/environments/other/configuration', text), 200),
      ),
    )
    expect(new Set(stored.map(({ version }) => version))).toEqual(new Set([2, 3, 4, 5]))
  })
})
