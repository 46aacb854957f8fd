import { readFile } from 'node:fs/promises'
import { DatabaseSync } from 'node:sqlite'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { Configuration } from '../../src/simulator/configuration.ts'
import { DEFAULT_FLAGS } from '../../src/simulator/settings.ts'
import { startServer, STARTER_CONFIGURATION, type TestServer } from '../support/harness.ts'
import { created, enrollHost, makeEnvironment, problemOf } from '../support/operator.ts'

let server: TestServer
const keys: Record<string, string> = {}
const PATH = '/environments/default/configuration'
const DIALECT = { maxConfigBytes: 1_048_576, maxConfigDepth: 32 }
/** A simulated agent's configuration: it keeps options, as osqueryd does. */
const agents: Record<string, Configuration> = {}

beforeAll(async () => {
  server = await startServer()
  for (const [name, platform, platformType] of [
    ['web-1', 'ubuntu', '9'],
    ['mac-1', 'darwin', '21'],
  ] as const) {
    keys[name] = await enrollHost(server, name, { platform, platformType })
    agents[name] = new Configuration(DEFAULT_FLAGS, DIALECT)
  }
}, 30_000)
afterAll(() => server.close())

interface Stored {
  version: number
  warnings: { pointer: string; detail: string }[]
}

function put(document: unknown): Promise<Stored> {
  return server.operator('PUT', PATH, document).then((reply) => created<Stored>(reply, 200))
}

/** What the server sends an agent now. */
async function served(name: string): Promise<string> {
  return (await server.agent('/api/osquery/config', { node_key: keys[name] })).text
}

/** Lets an agent poll until its flag has this value. */
async function obeys(name: string, flag: string, value: string): Promise<void> {
  const agent = agents[name]
  if (agent === undefined) throw new Error('no such agent')
  let last: string | undefined
  const found = server.until(async () => {
    agent.apply(
      JSON.parse(await served(name)) as never,
      {
        platform: 'linux',
        version: '5.23.1',
        hostname: name,
      } as never,
    )
    last = agent.flags[flag]
    return last === value
  }, 12_000)
  await found.catch(() => expect(last).toBe(value))
}

describe('an option that is taken out', () => {
  it("goes back to osquery's default in agents that keep options", async () => {
    await put({ options: { distributed_interval: 10, logger_tls_max_lines: 99 } })
    await obeys('web-1', 'logger_tls_max_lines', '99')
    const { warnings } = await put({ options: { distributed_interval: 10 } })
    expect(warnings).toEqual([])
    await obeys('web-1', 'logger_tls_max_lines', '1024')
    expect(await served('web-1')).toBe('{"options":{"distributed_interval":10,"logger_tls_max_lines":1024}}')
  })

  it('stays at its default for agents that were away meanwhile', async () => {
    await put({ options: { distributed_interval: 10, verbose: true } })
    await put({ options: { distributed_interval: 10 } })
    await put({ options: { distributed_interval: 11 } })
    await obeys('mac-1', 'distributed_interval', '11')
    expect(JSON.parse(await served('mac-1'))).toEqual({
      options: { distributed_interval: 11, logger_tls_max_lines: 1024, verbose: false },
    })
    // What operators wrote is what is kept.
    expect((await server.operator('GET', PATH)).text).toBe('{"options":{"distributed_interval":11}}')
  })

  it('goes back by a rollback, too', async () => {
    const { version } = await put({ options: { distributed_interval: 11 } })
    await put({ options: { distributed_interval: 11, pack_delimiter: '/' } })
    await obeys('web-1', 'pack_delimiter', '/')
    created(await server.operator('POST', `${PATH}/rollback`, { version }), 200)
    await obeys('web-1', 'pack_delimiter', '_')
  })

  it('of a layer goes back in nodes that leave it, and is nothing to nodes of another platform', async () => {
    const layer = (document: object, match: object) =>
      server.operator('PUT', `${PATH}/layers/l`, { match, document }).then((reply) => created(reply, 200))
    await layer({ options: { logger_tls_backoff_max: 7 } }, { platform: 'linux' })
    await obeys('web-1', 'logger_tls_backoff_max', '7')
    expect(await served('mac-1')).not.toContain('logger_tls_backoff_max')
    await layer({}, { platform: 'linux' })
    await obeys('web-1', 'logger_tls_backoff_max', '3600')
    expect(await served('mac-1')).not.toContain('logger_tls_backoff_max')
    created(await server.operator('DELETE', `${PATH}/layers/l`), 200)
  })

  it('clears views by an empty object', async () => {
    await put({ options: { distributed_interval: 11 }, views: { v: 'SELECT 1 AS one' } })
    await put({ options: { distributed_interval: 11 } })
    await server.until(async () => (await served('web-1')).includes('"views":{}'))
  })

  it('that agents read at their start is never sent: the reply and plan say that it lasts', async () => {
    const before = { options: { distributed_interval: 11, host_identifier: 'uuid' }, events: { x: ['y'] } }
    const after = { options: {} }
    await put(before)
    const plan = created<Record<string, unknown>>(
      await server.operator('POST', `${PATH}/plan`, { document: after, layers: [] }),
      200,
    )
    expect(plan).toMatchObject({
      cleared: [{ pointer: '/options/distributed_interval', value: 60 }],
      untilRestart: [
        { pointer: '/events', reason: 'agents have no way to take it back' },
        { pointer: '/options/host_identifier', reason: 'agents read it when they start' },
      ],
    })
    const { warnings } = await put(after)
    expect(warnings).toEqual([
      {
        pointer: '/events',
        detail: 'was taken out, but lasts until restart: agents have no way to take it back',
      },
      {
        pointer: '/options/host_identifier',
        detail: 'was taken out, but lasts until restart: agents read it when they start',
      },
    ])
    await obeys('web-1', 'distributed_interval', '60')
    expect(await served('web-1')).not.toContain('host_identifier')
    // Said once: the next change takes nothing out.
    expect((await put({ options: { verbose: true } })).warnings).toEqual([])
  })

  it('is shown with a node: what the server takes back, and what lasts', async () => {
    const { items } = (await server.operator('GET', '/environments/default/nodes?q=web-1')).json<{
      items: { id: string }[]
    }>()
    const shown = (
      await server.operator('GET', `/environments/default/nodes/${items[0]?.id}/configuration`)
    ).json<{ origins: object[]; untilRestart: object[]; document: object }>()
    expect(shown.origins).toContainEqual({
      pointer: '/options/distributed_interval',
      layer: "osquery's default",
    })
    expect(shown.untilRestart).toContainEqual({
      pointer: '/options/host_identifier',
      reason: 'agents read it when they start',
    })
    await server.until(async () => (await served('web-1')) === JSON.stringify(shown.document))
  })

  it('may not make a document too large for agents', async () => {
    const room = 1_048_576 - 60
    const query = { query: 'x'.repeat(room - 40), interval: 60 }
    const document = { options: { verbose: true }, schedule: { q: query } }
    document.schedule.q.query = 'x'.repeat(1_048_570 - JSON.stringify(document).length + query.query.length)
    expect(problemOf(await server.operator('PUT', PATH, document))).toEqual({ status: 422, pointers: [''] })
  })
})

describe('an environment without a history', () => {
  it('is served what was written, byte for byte', async () => {
    const { secret } = await makeEnvironment(server, 'fresh')
    const text = STARTER_CONFIGURATION.replace('10', '1.5e1').replace('1.5e1', '15')
    created(await server.operator('PUT', '/environments/fresh/configuration', text), 200)
    keys['new'] = await enrollHost(server, 'new', { secret })
    await server.until(async () => (await served('new')) === text)
  })
})

describe('the migration', () => {
  it('remembers what the versions before it said', async () => {
    const db = new DatabaseSync(':memory:', { enableForeignKeyConstraints: false })
    for (const name of ['0001_initial', '0008_configuration_message', '0009_configuration_layers'])
      db.exec(await readFile(`migrations/${name}.sql`, 'utf8'))
    const add = db.prepare(
      `INSERT INTO configurations (environment_id, version, document, sha256, created_at, created_by)
       VALUES ('e', ?, ?, '', 0, '')`,
    )
    add.run(1, '{"options":{"a/b":0,"none":"","gone":null},"views":{"v":"SELECT 1"},"yara":{}}')
    add.run(2, 'not JSON')
    add.run(
      3,
      '{"packs":{"p":{"options":{"in_pack":true}},"*":{"q":{"events":{"x":[]}}},"s":"text"},"options":5}',
    )
    add.run(4, '{"exclude_paths":{"etc":["/etc"],"empty":[]}}')
    db.exec(`INSERT INTO configuration_documents VALUES ('e', 'h', '{"options":{"of_linux":1}}');
      INSERT INTO configuration_layers VALUES ('e', 4, 0, 'l', '{"platform":"linux"}', 'h')`)
    db.exec(await readFile('migrations/0015_held_options.sql', 'utf8'))
    const rows = db.prepare('SELECT pointer, platform FROM held_options ORDER BY pointer').all()
    expect(rows.map((row) => [row['pointer'], row['platform']])).toEqual([
      ['/events', ''],
      ['/exclude_paths/etc', ''],
      ['/options/a~1b', ''],
      ['/options/in_pack', ''],
      ['/options/of_linux', 'linux'],
      ['/views', ''],
    ])
  })
})
