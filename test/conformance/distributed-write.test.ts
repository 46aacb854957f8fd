/** Spec 9.4, 9.5 (R, W), Fleet 13, 55-57, 60: writes that other servers trip over. What is kept is in test/queries. */

import { gzipSync } from 'node:zlib'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { startServer, type TestServer } from '../support/harness.ts'

interface QuarantineItem {
  reason: string
  bytes: number
}

const OVER_LIMIT_BYTES = 64 * 1_024 * 1_024 + 1

let server: TestServer
let nodeKey: string
beforeAll(async () => {
  server = await startServer()
  nodeKey = await server.enroll('writer')
})
afterAll(() => server.close())

function write(body: unknown, headers: Record<string, string> = {}) {
  return server.agent('/api/osquery/distributed/write', body, headers)
}

async function quarantined(): Promise<QuarantineItem[]> {
  const { items } = (await server.operator('GET', '/environments/default/quarantine')).json<{
    items: QuarantineItem[]
  }>()
  return items
}

describe('distributed write', () => {
  it.each([
    [
      'W3: denylisted',
      { queries: { q2: [] }, statuses: { q2: 1 }, messages: { q2: 'x' }, stats: { q2: {} } },
    ],
    ['W4: a 2.11 client', { queries: { q3: '', q4: [{ pid: '1' }] }, statuses: { q3: '0', q4: '0' } }],
    ['W5: a 2.0 client', { queries: { q5: [{ a: '1' }] } }],
    ['W6: unknown ids', { queries: { whatever: [{ a: '1' }] }, statuses: { whatever: 0 } }],
    [
      'Fleet 57: a mix of odd ids',
      { queries: { '': [], '1': [], 'a.b': '' }, statuses: { '1': 'x', z: null } },
    ],
    ['no queries at all', {}],
    ['queries of another kind', { queries: [], statuses: [], messages: 7 }],
  ] as [string, Record<string, unknown>][])('%s is accepted', async (_name, body) => {
    const reply = await write({ ...body, node_key: nodeKey })
    expect([reply.status, reply.text]).toEqual([200, '{}'])
  })

  it('W9: poison of a known node is put aside and accepted, so that the agent can go on', async () => {
    const broken = `{"queries":{"q":[{"a":"1"}],"node_key":"${nodeKey}"`
    expect((await write(broken, { authorization: `NodeKey ${nodeKey}` })).text).toBe('{}')
    expect((await write(broken)).text).toBe('{}')
    expect(await quarantined()).toMatchObject([
      { reason: 'malformed', bytes: broken.length },
      { reason: 'malformed', bytes: broken.length },
    ])
  })

  it('poison of a stranger is told retry', async () => {
    for (const body of ['{"queries":', 'queries', '{"queries":{},"node_key":"oen1-x"']) {
      expect((await write(body)).text).not.toBe('{}')
    }
  })

  it('large poison of a known node is put aside whole', async () => {
    const body = `{"queries":{"q":[{"a":"${'x'.repeat(3 * 1_024 * 1_024)}"}]`
    expect((await write(body, { authorization: `NodeKey ${nodeKey}` })).text).toBe('{}')
    expect((await quarantined()).map(({ bytes }) => bytes)).toContain(body.length)
  })

  it('over the limit and no JSON: put aside and accepted', async () => {
    const body = new Uint8Array(OVER_LIMIT_BYTES).fill(0x20)
    expect((await write(body, { authorization: `NodeKey ${nodeKey}` })).text).toBe('{}')
    expect(await quarantined()).toContainEqual(
      expect.objectContaining({ reason: 'malformed', bytes: body.length }),
    )
    expect((await write(body)).text).toBe('retry')
  })

  it('over the limit with the key at the end of the body alone, as agents before 5.23.0 send it', async () => {
    const body = Buffer.alloc(OVER_LIMIT_BYTES + 1, 0x20)
    body.write('{"queries":{},')
    body.write(`"node_key":"${nodeKey}"}`, body.length - nodeKey.length - 20)
    expect((await write(new Uint8Array(body))).text).toBe('{}')
    expect(await quarantined()).toContainEqual(
      expect.objectContaining({ reason: 'too-large', bytes: body.length }),
    )
  })

  it('gzip is understood although no agent sends it here', async () => {
    const body = gzipSync(JSON.stringify({ queries: {}, node_key: nodeKey }))
    expect((await write(new Uint8Array(body), { 'content-encoding': 'gzip' })).text).toBe('{}')
  })

  it('rows with bytes that are not UTF-8 are accepted', async () => {
    const body = Buffer.concat([
      Buffer.from('{"queries":{"q":[{"a":"'),
      Buffer.from([0xff, 0xfe, 0xc3]),
      Buffer.from(`"}]},"node_key":"${nodeKey}"}`),
    ])
    expect((await write(new Uint8Array(body))).text).toBe('{}')
  })
})
