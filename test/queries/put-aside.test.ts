/** Answers that are put aside: the agent goes on, the query does not wait for it, and operators see what happened. */

import { randomBytes } from 'node:crypto'
import { gzipSync } from 'node:zlib'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { MALFORMED_MESSAGE, TOO_LARGE_MESSAGE } from '../../src/agent/write-aside.ts'
import { startServer, type TestServer } from '../support/harness.ts'
import { created } from '../support/operator.ts'

const MIB = 1_024 * 1_024

let server: TestServer
beforeAll(async () => {
  server = await startServer()
})
afterAll(() => server.close())

interface Asked {
  nodeKey: string
  queryId: string
  wireId: string
}

/** A new node that was offered a query of its own. */
async function asked(host: string): Promise<Asked> {
  const nodeKey = await server.enroll(host)
  const body = { sql: `SELECT '${host}'`, targets: { hostnames: [host] } }
  const { id: queryId } = created(await server.operator('POST', '/environments/default/queries', body))
  const wireId = await server.until(async () => Object.keys(await queriesFor(nodeKey))[0])
  return { nodeKey, queryId, wireId }
}

async function queriesFor(nodeKey: string): Promise<Record<string, string>> {
  const reply = await server.agent('/api/osquery/distributed/read', { node_key: nodeKey })
  return reply.json<{ queries?: Record<string, string> }>().queries ?? {}
}

async function write(nodeKey: string, body: string | Uint8Array, where: 'header' | 'body' = 'header') {
  const headers: Record<string, string> = where === 'header' ? { authorization: `NodeKey ${nodeKey}` } : {}
  const reply = await server.agent('/api/osquery/distributed/write', body, headers)
  expect([reply.status, reply.text]).toEqual([200, '{}'])
}

/** What an operator sees of a query's one node: its answer, why it is a straggler, and the counts. */
async function seen({ queryId, nodeKey }: Asked) {
  const path = `/environments/default/queries/${queryId}`
  const list = async <T>(end: string) =>
    created<{ items: T[] }>(await server.operator('GET', `${path}/${end}`), 200).items[0]
  const { counts } = created<{ counts: Record<string, number> }>(await server.operator('GET', path), 200)
  // Settled: nobody asks it again.
  expect(await queriesFor(nodeKey)).toEqual({})
  const { reason } = (await list<{ reason: string }>('stragglers')) ?? { reason: null }
  const answer = await list<{ status: string; message: string; rowCount: number; truncated: boolean }>(
    'answers',
  )
  return { reason, answer, counts }
}

async function putAside(bytes: number): Promise<string[]> {
  const reply = await server.operator('GET', '/environments/default/quarantine')
  const { items } = created<{ items: { bytes: number; reason: string }[] }>(reply, 200)
  return items.filter((item) => item.bytes === bytes).map(({ reason }) => reason)
}

/** Rows of a mebibyte each, so many, as an agent writes them. */
function bodyOf({ wireId, nodeKey }: Asked, rows: number): string {
  const row = `{"a":"${'x'.repeat(MIB - 20)}"}`
  return `{"queries":{"${wireId}":[${Array<string>(rows).fill(row).join(',')}]},"statuses":{"${wireId}":0},"node_key":"${nodeKey}"}`
}

const CUT = { status: 'ok', truncated: true, rowCount: 4 }

it('a 40 MB answer is kept up to its limit, and flagged', async () => {
  const node = await asked('forty')
  await write(node.nodeKey, bodyOf(node, 40))
  expect(await seen(node)).toMatchObject({
    reason: 'truncated',
    answer: { ...CUT, message: '' },
    counts: { answered: 1, failed: 0, pending: 0 },
  })
})

it.each([
  ['header', 65],
  ['body', 66],
] as const)(
  'an answer over 64 MiB of an agent with its key in the %s: the same, and it lies whole in quarantine',
  async (where, rows) => {
    const node = await asked(`over-${where}`)
    const body = bodyOf(node, rows)
    await write(node.nodeKey, body, where)
    expect(await seen(node)).toMatchObject({
      reason: 'truncated',
      answer: { ...CUT, message: TOO_LARGE_MESSAGE },
      counts: { answered: 1, failed: 0, pending: 0 },
    })
    expect(await putAside(body.length)).toEqual(['too-large'])
  },
)

it('gzip that inflates over 64 MiB: nobody knows whether it succeeded, so it failed', async () => {
  const node = await asked('inflating')
  const body = new Uint8Array(gzipSync(bodyOf(node, 70)))
  await write(node.nodeKey, body)
  expect(await seen(node)).toMatchObject({
    reason: 'failed',
    answer: { status: 'failed', truncated: true, rowCount: 4, message: TOO_LARGE_MESSAGE },
    counts: { answered: 1, failed: 1, pending: 0 },
  })
  expect(await putAside(body.length)).toEqual(['too-large'])
})

it('gzip of more than a mebibyte is read while it passes', async () => {
  const node = await asked('zipped')
  const rows = [{ a: randomBytes(1.5 * MIB).toString('hex') }]
  const text = JSON.stringify({ queries: { [node.wireId]: rows }, statuses: { [node.wireId]: 0 } })
  const body = new Uint8Array(gzipSync(text))
  expect(body.length).toBeGreaterThan(MIB)
  await write(node.nodeKey, body)
  expect(await seen(node)).toMatchObject({
    reason: null,
    answer: { status: 'ok', rowCount: 1, truncated: false },
  })
})

it.each([
  ['small', 10],
  ['large', 2 * MIB],
])('a %s answer that is no JSON: it failed, with its first rows', async (size, length) => {
  const node = await asked(`broken-${size}`)
  const body = `{"queries":{"${node.wireId}":[{"a":"1"},{"a":"${'x'.repeat(length)}"]}`
  await write(node.nodeKey, body)
  expect(await seen(node)).toMatchObject({
    reason: 'failed',
    answer: { status: 'failed', rowCount: 1, message: MALFORMED_MESSAGE },
    counts: { answered: 1, failed: 1 },
  })
  expect(await putAside(body.length)).toEqual(['malformed'])
})

it('an id that a newer Worker made: the others are kept, and all of them come again', async () => {
  const node = await asked('newer')
  const queries = { 'oeq2-AAAA': [{ a: '1' }], [node.wireId]: [{ a: '2' }] }
  const body = JSON.stringify({ queries, node_key: node.nodeKey })
  for (let sent = 0; sent < 2; sent += 1) {
    const reply = await server.agent('/api/osquery/distributed/write', body)
    expect(reply.text).toBe('retry')
    expect(await seen(node)).toMatchObject({ answer: { status: 'ok', rowCount: 1 }, counts: { answered: 1 } })
  }
})
