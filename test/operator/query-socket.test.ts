/** GET …/queries/{id}/stream as a WebSocket: credits, what a viewer says, and hibernation. */

import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { OPERATOR_TOKEN, startServer, type TestServer } from '../support/harness.ts'
import { created } from '../support/operator.ts'
import { rowsOf, type StreamLine } from '../support/query-stream.ts'
import { defaultEnvironmentId } from '../support/queries.ts'

let server: TestServer
let nodeKey: string
beforeAll(async () => {
  server = await startServer()
  nodeKey = await server.enroll('web-1')
})
afterAll(() => server.close())

const PATH = '/environments/default/queries'

interface Socket {
  lines: StreamLine[]
  send(message: unknown): void
  closed: Promise<number>
  close(): void
}

const AUTHORIZATION = { authorization: `Bearer ${OPERATOR_TOKEN}` }

async function connect(
  queryId: string,
  query = '',
  token: Record<string, string> = AUTHORIZATION,
): Promise<Socket> {
  const response = await server.harness.fetch(`/api/v1${PATH}/${queryId}/stream${query}`, {
    headers: { upgrade: 'websocket', ...token },
  })
  const { webSocket } = response as unknown as { webSocket: WebSocket & { accept(): void } }
  if (response.status !== 101) throw new Error(`${response.status} ${await response.text()}`)
  const lines: StreamLine[] = []
  const closed = new Promise<number>((resolve) => {
    webSocket.addEventListener('close', ({ code }) => resolve(code))
  })
  webSocket.addEventListener('message', ({ data }) => {
    for (const line of String(data).split('\n')) lines.push(JSON.parse(line) as StreamLine)
  })
  webSocket.accept()
  return {
    lines,
    closed,
    send: (message) => webSocket.send(JSON.stringify(message)),
    close: () => webSocket.close(),
  }
}

async function openAnswered(sql: string, rows: number, hosts: string[]): Promise<string> {
  const { id } = created(await server.operator('POST', PATH, { sql, targets: { hostnames: hosts } }))
  const wireId = await server.until(async () => {
    const reply = await server.agent('/api/osquery/distributed/read', { node_key: nodeKey })
    const { queries = {} } = reply.json<{ queries?: Record<string, string> }>()
    return Object.keys(queries).find((id) => queries[id] === sql)
  })
  const said = { [wireId]: Array.from({ length: rows }, (_, a) => ({ a: String(a) })) }
  await server.agent('/api/osquery/distributed/write', { queries: said, node_key: nodeKey })
  return id
}

function rowCount({ lines }: Socket): number {
  return rowsOf(lines).length
}

describe('a viewer over a WebSocket', () => {
  it('gets as many rows as it gave credits for, progress besides, and the end with the last row', async () => {
    const id = await openAnswered('SELECT 1', 30, ['web-1'])
    const socket = await connect(id, '?credits=10')
    await server.until(async () => rowCount(socket) === 10)
    expect(socket.lines.some(({ type, counts }) => type === 'progress' && counts?.['answered'] === 1)).toBe(
      true,
    )
    socket.send({ type: 'credit', rows: 5 })
    await server.until(async () => rowCount(socket) === 15)
    expect(socket.lines.some(({ type }) => type === 'end')).toBe(false)
    socket.send({ type: 'credit', rows: 100 })
    expect(await socket.closed).toBe(1000)
    expect(rowCount(socket)).toBe(30)
    expect(socket.lines.at(-1)).toMatchObject({ type: 'end', status: 'complete' })
  })

  it('may say its token as browsers can: as a subprotocol', async () => {
    const id = await openAnswered('SELECT 4', 2, ['web-1'])
    const socket = await connect(id, '', {
      'sec-websocket-protocol': `osquery-edge, bearer.${OPERATOR_TOKEN}`,
    })
    expect(await socket.closed).toBe(1000)
    expect(rowCount(socket)).toBe(2)
    const wrong = { 'sec-websocket-protocol': 'osquery-edge, bearer.wrong' }
    await expect(connect(id, '', wrong)).rejects.toThrow('401')
  })

  it('sees nothing more once its token is revoked; others go on', async () => {
    const made = created<{ id: string; token: string }>(
      await server.operator('POST', '/operator-tokens', { name: 'gone' }),
    )
    await server.enroll('web-3')
    const id = await openAnswered('SELECT 5', 1, ['web-1', 'web-3'])
    const [revoked, other] = [
      await connect(id, '', { authorization: `Bearer ${made.token}` }),
      await connect(id),
    ]
    await server.until(async () => rowCount(revoked) === 1 && rowCount(other) === 1)
    await server.operator('DELETE', `/operator-tokens/${made.id}`)
    // Looked at each half minute, and when somebody connects.
    const third = await connect(id)
    expect(await revoked.closed).toBe(1008)
    expect(revoked.lines.at(-1)).toEqual({ type: 'end', status: 'revoked' })
    expect(other.lines.some(({ type }) => type === 'end')).toBe(false)
    other.close()
    third.close()
  })

  it('is told to go when it says what this stream does not know', async () => {
    const id = await openAnswered('SELECT 2', 1, ['web-1'])
    const socket = await connect(id, '?credits=0')
    socket.send({ type: 'credit', rows: -1 })
    expect(await socket.closed).toBe(1003)
  })

  it('keeps its place and its credits while the object is evicted', async () => {
    const other = await server.enroll('web-2')
    const id = await openAnswered('SELECT 3', 3, ['web-1', 'web-2'])
    const socket = await connect(id, '?credits=4')
    await server.until(async () => rowCount(socket) === 3)
    socket.send({ type: 'active' })
    const environmentId = await defaultEnvironmentId(server)
    const row = await server.env.DB.prepare('SELECT number FROM queries WHERE id = ?')
      .bind(id)
      .first<{ number: number }>()
    await server.evict('FEED', { name: `${environmentId}/${row?.number}` })
    const wireId = await server.until(async () => {
      const reply = await server.agent('/api/osquery/distributed/read', { node_key: other })
      return Object.keys(reply.json<{ queries?: object }>().queries ?? {})[0]
    })
    const said = { [wireId]: [{ a: 'x' }, { a: 'y' }] }
    await server.agent('/api/osquery/distributed/write', { queries: said, node_key: other })
    await server.until(async () => rowCount(socket) === 4)
    socket.send({ type: 'credit', rows: 9 })
    expect(await socket.closed).toBe(1000)
    expect(rowsOf(socket.lines)).toEqual(['web-1/0', 'web-1/1', 'web-1/2', 'web-2/x', 'web-2/y'])
  })
})
