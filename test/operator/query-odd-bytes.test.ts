/** Rows with bytes that are not UTF-8, and with NULs: kept as they are, shown as far as a format can, and flagged. */

import { Buffer } from 'node:buffer'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { OPERATOR_TOKEN, startServer, type TestServer } from '../support/harness.ts'
import { created } from '../support/operator.ts'
import { closeNow, untilMoved } from '../support/results.ts'
import { viewStream } from '../support/query-stream.ts'

/** As agents write them: a file name in Latin-1 beside one in UTF-8, and a NUL, which JSON escapes. */
const LATIN_1 = Buffer.from('{"path":"/home/jos\xe9","nul":"a\\u0000b"}', 'latin1')
const UTF_8 = Buffer.from('{"path":"/home/josé","nul":"\\u0000"}')
/** JSON may have line ends between tokens; a line of NDJSON must not. */
const SPREAD = Buffer.from('{"path":\n"/tmp","nul":""}')

let server: TestServer
let nodeKey: string
let nodeId: string
let query: { id: string; number: number; shards: number }

beforeAll(async () => {
  server = await startServer()
  nodeKey = await server.enroll('odd')
  const opened = { sql: "SELECT 'odd'", targets: { hostnames: ['odd'] } }
  const { id } = created(await server.operator('POST', '/environments/default/queries', opened))
  const rows = Buffer.concat([LATIN_1, Buffer.from(','), UTF_8, Buffer.from(','), SPREAD])
  await answer(await offered(), rows)
  const row = await server.env.DB.prepare('SELECT id, number, shards FROM queries WHERE id = ?')
    .bind(id)
    .first<typeof query>()
  if (row === null) throw new Error('the query is there')
  query = row
  const nodes = created<{ items: { id: string }[] }>(
    await server.operator('GET', '/environments/default/nodes?q=odd'),
    200,
  )
  nodeId = nodes.items[0]?.id ?? ''
})
afterAll(() => server.close())

function offered(): Promise<string> {
  return server.until(async () => {
    const reply = await server.agent('/api/osquery/distributed/read', { node_key: nodeKey })
    return Object.keys(reply.json<{ queries?: object }>().queries ?? {})[0]
  })
}

async function answer(wireId: string, rows: Buffer): Promise<void> {
  const [start, end] = [`{"queries":{"${wireId}":[`, `]},"statuses":{"${wireId}":0},"node_key":"${nodeKey}"}`]
  const body = Buffer.concat([Buffer.from(start), rows, Buffer.from(end)])
  expect((await server.agent('/api/osquery/distributed/write', new Uint8Array(body))).text).toBe('{}')
}

interface Row {
  columns: Record<string, string>
  columnsBase64?: string
}

async function bytesOf(path: string): Promise<Buffer> {
  const response = await server.harness.fetch(`/api/v1/environments/default/queries/${query.id}${path}`, {
    headers: { authorization: `Bearer ${OPERATOR_TOKEN}` },
  })
  return Buffer.from(await response.arrayBuffer())
}

const SHOWN = [
  { columns: { path: '/home/jos\ufffd', nul: 'a\0b' }, columnsBase64: LATIN_1.toString('base64') },
  { columns: { path: '/home/josé', nul: '\0' } },
  { columns: { path: '/tmp', nul: '' } },
]

function shownOf(rows: readonly Row[]): Row[] {
  return rows.map(({ columns, columnsBase64 }) =>
    columnsBase64 === undefined ? { columns } : { columns, columnsBase64 },
  )
}

async function readByEveryWay(): Promise<void> {
  const { items } = JSON.parse((await bytesOf('/results')).toString()) as { items: Row[] }
  expect(shownOf(items)).toEqual(SHOWN)
  const lines = (await bytesOf('/export')).toString().trimEnd().split('\n')
  expect(shownOf(lines.map((line) => JSON.parse(line) as Row))).toEqual(SHOWN)
  expect(shownOf(JSON.parse((await bytesOf('/export?format=json')).toString()) as Row[])).toEqual(SHOWN)
  const viewer = await viewStream(server, query.id)
  await viewer.ended
  expect(shownOf(viewer.lines.filter(({ type }) => type === 'row') as Row[])).toEqual(SHOWN)
}

it('every JSON reply is UTF-8 with U+FFFD, and has the row as it was beside', readByEveryWay)

it('CSV has the bytes as they are', async () => {
  const csv = await bytesOf('/export?format=csv')
  const [, ...lines] = csv.toString('latin1').trimEnd().split('\r\n')
  const values = lines.map((line) => line.split(',').slice(3).join(','))
  expect(values).toEqual(['/home/jos\xe9,a\0b', '/home/jos\xc3\xa9,\0', '/tmp,'])
})

it('groups and filters tell them apart, by what is shown of them', async () => {
  const groups = JSON.parse((await bytesOf('/groups?by=path')).toString()) as { items: { values: object }[] }
  expect(groups.items.map(({ values }) => values)).toEqual([
    { path: '/home/jos\ufffd' },
    { path: '/home/josé' },
    { path: '/tmp' },
  ])
  const filter = `column=path&value=${encodeURIComponent('/home/jos\ufffd')}`
  const { items } = JSON.parse((await bytesOf(`/results?${filter}`)).toString()) as { items: Row[] }
  expect(shownOf(items)).toEqual(SHOWN.slice(0, 1))
})

it('the same after the rows moved to R2', async () => {
  await server.until(async () => {
    await closeNow(server, query)
    return untilMoved(server, query).then(() => true)
  })
  await readByEveryWay()
})

it('one node now: rows as shown, and those that are not UTF-8 as they were', async () => {
  const asked = server.operator('POST', `/environments/default/nodes/${nodeId}/query`, { sql: 'SELECT 2' })
  await answer(await offered(), LATIN_1)
  const { answer: said } = created<{ answer: { rows: object[]; rowsBase64: object } }>(await asked, 200)
  expect(said.rows).toEqual([{ path: '/home/jos\ufffd', nul: 'a\0b' }])
  expect(said.rowsBase64).toEqual({ 0: LATIN_1.toString('base64') })
})
