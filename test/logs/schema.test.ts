/** schema/log-line.schema.json says to others what the archive holds: held against what is really written. */

import '../support/workerd-crypto.ts'
import { readFileSync } from 'node:fs'
import { gunzipSync } from 'node:zlib'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { z } from 'zod'
import { utf8 } from '../../src/lib/bytes.ts'
import { envelopeOf } from '../../src/logs/line.ts'
import { exportAudit } from '../../src/logs/export-audit.ts'
import { UNKNOWN_NAME } from '../../src/logs/source-facts.ts'
import { startServer, type TestServer } from '../support/harness.ts'
import { created } from '../support/operator.ts'
import { openQuery, ordinalOf } from '../support/queries.ts'
import { logBody, originAt, sendLog, sourceAt } from './support.ts'

const FILE = join(import.meta.dirname, '..', '..', 'schema', 'log-line.schema.json')
const schema = z.fromJSONSchema(
  JSON.parse(readFileSync(FILE, 'utf8')) as Parameters<typeof z.fromJSONSchema>[0],
)

let server: TestServer
beforeAll(async () => {
  server = await startServer()
})
afterAll(() => server.close())

/** Every line of the archive, as it lies there. */
async function archivedLines(): Promise<Record<string, unknown>[]> {
  const { objects } = await server.env.ARCHIVE.list({ prefix: 'logs/' })
  const texts = await Promise.all(
    objects.map(async ({ key }) => {
      const object = await server.env.ARCHIVE.get(key)
      return object === null ? '' : gunzipSync(new Uint8Array(await object.arrayBuffer())).toString()
    }),
  )
  return texts.flatMap((text) =>
    text.split('\n').flatMap((line) => (line === '' ? [] : [JSON.parse(line) as Record<string, unknown>])),
  )
}

it('every kind of line that is archived is as the schema says', async () => {
  const nodeKey = await server.enroll('described')
  await sendLog(server, logBody(nodeKey, 'status', ['{"severity":"0"}']))
  await sendLog(server, logBody(nodeKey, 'result', ['{"name":"uptime"}', '{"name":"s","snapshot":[]}', '{}']))
  await openQuery(server, 'SELECT 1', [await ordinalOf(server, 'described')])
  const ids = await server.until(async () => {
    const reply = await server.agent('/api/osquery/distributed/read', { node_key: nodeKey })
    const found = Object.keys(reply.json<{ queries?: object }>().queries ?? {})
    return found.length > 0 ? found : null
  })
  const queries = Object.fromEntries(ids.map((id) => [id, [{ a: '1' }]]))
  await server.agent('/api/osquery/distributed/write', { queries, node_key: nodeKey })
  created(await server.operator('POST', '/environments/default/enroll-secrets', { name: 'described' }))
  created(await server.operator('POST', '/operator-tokens', { name: 'described' }))
  await exportAudit(server.env, Date.now() + 120_000)
  const types = ['audit', 'query', 'result', 'snapshot', 'status']
  const lines = await server.until(async () => {
    const found = await archivedLines()
    const owners = new Set(found.map((line) => `${String(line['type'])} ${String(line['environment'])}`))
    // Audit lines of the environment and of the deployment.
    return owners.size >= types.length + 1 ? found : null
  })
  expect([...new Set(lines.map(({ type }) => String(type)))].toSorted()).toEqual(types)
  const faults = lines.flatMap((line) => {
    const read = schema.safeParse(line)
    return read.success ? [] : [[line, read.error.issues]]
  })
  expect(faults).toEqual([])
})

describe('the schema', () => {
  const nodeId = '0b000000-0000-4000-8000-000000000002'
  const source = sourceAt(originAt('0a000000-0000-4000-8000-000000000001', nodeId, Date.now()))
  const facts = { type: 'result', name: 'n', eventId: '0'.repeat(32), index: 0, ...UNKNOWN_NAME } as const
  const whole = JSON.parse(new TextDecoder().decode(envelopeOf(source, facts, utf8('{}')))) as object

  it('knows the format before', () => {
    const { tags, pack, query, configurationVersion, ...before } = whole as Record<string, unknown>
    expect([tags, pack, query, configurationVersion]).toEqual([[], null, null, null])
    expect(schema.safeParse({ ...before, format: 1 }).success).toBe(true)
    expect(schema.safeParse(before).success).toBe(false)
  })

  it.each([
    ['an agent without a node', { nodeId: null }],
    ['another type', { type: 'carve' }],
    ['an event id of another form', { eventId: 'x' }],
    ['a member that is new', { region: 'eu' }],
    ['a line that is no object', { line: 'text' }],
    ['a time without milliseconds', { receivedAt: '2026-11-21T08:30:00Z' }],
  ])('refuses %s', (_what, change) => {
    expect(schema.safeParse(whole).success).toBe(true)
    expect(schema.safeParse({ ...whole, ...change }).success).toBe(false)
  })
})
