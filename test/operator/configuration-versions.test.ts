import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { STARTER_CONFIGURATION, startServer, type TestServer } from '../support/harness.ts'
import { allPages, created, makeEnvironment, problemOf } from '../support/operator.ts'

let server: TestServer
const PATH = '/environments/default/configuration'
const SECOND = '{"options":{"distributed_interval":30},"schedule":{}}'

interface Version {
  version: number
  createdBy: string
  message: string
  bytes: number
  sha256: string
}

beforeAll(async () => {
  server = await startServer()
  await makeEnvironment(server, 'other')
  created(await server.operator('PUT', `${PATH}?message=ask%20less%20often`, SECOND), 200)
})
afterAll(() => server.close())

describe('versions of the configuration', () => {
  it('are listed with author and message, newest first', async () => {
    const versions = await allPages<Version>(server, `${PATH}/versions`, 1)
    expect(versions.map(({ version, message, bytes }) => [version, message, bytes])).toEqual([
      [2, 'ask less often', SECOND.length],
      [1, '', STARTER_CONFIGURATION.length],
    ])
    expect(versions[0]?.createdBy).not.toBe('')
  })

  it('keep their documents', async () => {
    const first = await server.operator('GET', `${PATH}/versions/1`)
    expect(first.text).toContain(`"document":${STARTER_CONFIGURATION},`)
    const second = await server.operator('GET', `${PATH}/versions/2`)
    expect(second.json()).toMatchObject({ version: 2, document: JSON.parse(SECOND), layers: [] })
  })

  it('say what they changed', async () => {
    const changes = (await server.operator('GET', `${PATH}/versions/2/changes`)).json()
    expect(changes).toEqual({
      version: 2,
      against: 1,
      changes: [
        { pointer: '/options/distributed_interval', change: 'changed', before: 10, after: 30 },
        {
          pointer: '/schedule/uptime',
          change: 'removed',
          before: { query: 'SELECT * FROM uptime', interval: 60 },
        },
      ],
      truncated: false,
    })
    const first = (await server.operator('GET', `${PATH}/versions/1/changes`)).json<{ against: null }>()
    expect(first.against).toBeNull()
    const same = (await server.operator('GET', `${PATH}/versions/2/changes?against=2`)).json<{
      changes: []
    }>()
    expect(same.changes).toEqual([])
  })

  it('can be gone back to: as a new version, which says so', async () => {
    const stored = created<Version>(await server.operator('POST', `${PATH}/rollback`, { version: 1 }), 200)
    expect(stored).toMatchObject({ version: 3, live: true })
    expect((await server.operator('GET', PATH)).text).toBe(STARTER_CONFIGURATION)
    const [newest] = await allPages<Version>(server, `${PATH}/versions`, 10)
    expect(newest?.message).toBe('rollback to version 1')
  })

  it.each<[string, string, unknown, number, string[]]>([
    ['GET', `${PATH}/versions/99`, undefined, 404, []],
    ['GET', `${PATH}/versions/0`, undefined, 422, ['version']],
    ['GET', `${PATH}/versions/99/changes`, undefined, 404, []],
    ['GET', `${PATH}/versions/1/changes?against=99`, undefined, 422, ['against']],
    ['GET', '/environments/other/configuration/versions/2', undefined, 404, []],
    ['POST', `${PATH}/rollback`, { version: 99 }, 422, ['/version']],
    ['POST', `${PATH}/rollback`, { version: 1, message: 'x'.repeat(1_001) }, 422, ['/message']],
    ['POST', '/environments/other/configuration/rollback', { version: 2 }, 422, ['/version']],
  ])('%s %s is refused', async (method, path, body, status, pointers) => {
    expect(problemOf(await server.operator(method, path, body))).toEqual({ status, pointers })
  })
})
