/** GET …/logs/tail as a WebSocket: credits, gaps, and hibernation. */

import { afterAll, beforeAll, expect, test } from 'vitest'
import { startServer, type TestServer } from '../../support/harness.ts'
import { created } from '../../support/operator.ts'
import { defaultEnvironmentId } from '../../support/queries.ts'
import { logBody, sendLog } from '../support.ts'
import { missedOf, watchTailSocket } from './support.ts'

let server: TestServer
let nodeKey: string
let environmentId: string
beforeAll(async () => {
  server = await startServer()
  nodeKey = await server.enroll('web-1')
  environmentId = await defaultEnvironmentId(server)
})
afterAll(() => server.close())

function send(numbers: readonly (number | string)[], name = 'uptime'): Promise<void> {
  const lines = numbers.map((n) => JSON.stringify({ name, action: 'added', columns: {}, n }))
  return sendLog(server, logBody(nodeKey, 'result', lines))
}

async function followers(): Promise<string[]> {
  return (await server.env.ARCHIVE_INDEX.getByName(environmentId).add([])).map(({ kind }) => kind)
}

test('a viewer sees what it asked for, also after the object was evicted, and leaves nothing', async () => {
  const socket = await watchTailSocket(server, '?name=up*')
  await send(['a'])
  await server.until(async () => socket.numbers().includes('a'))
  await server.evict('TAIL', { name: environmentId })
  await send(['other'], 'other')
  await send(['b'])
  await server.until(async () => socket.numbers().includes('b'))
  expect(socket.numbers()).toEqual(['a', 'b'])
  socket.close()
  await server.until(async () => !(await followers()).includes('tail'))
})

test('a follower that a crash left behind is taken off by the next object', async () => {
  await server.until(async () => !(await followers()).includes('tail'))
  await server.env.ARCHIVE_INDEX.getByName(environmentId).follow({ kind: 'tail', name: 'live' }, null)
  await send(['nobody watches'])
  await server.until(async () => !(await followers()).includes('tail'))
})

test('a viewer gets as many as it gave credits for, is told what it missed, and goes on', async () => {
  const socket = await watchTailSocket(server)
  const other = await watchTailSocket(server, '?text=marker')
  await send(Array.from({ length: 1_020 }, (_, n) => n))
  await send(['marker'])
  await server.until(async () => other.numbers().includes('marker'))
  expect(socket.numbers().length).toBeLessThanOrEqual(1_000)
  socket.send({ type: 'credit', lines: 10 })
  await server.until(async () => socket.numbers().length + missedOf(socket.seen) === 1_021)
  await send(['again'])
  await server.until(async () => socket.numbers().includes('again'))
  expect(missedOf(socket.seen)).toBeGreaterThanOrEqual(21)
  socket.close()
  other.close()
})

test.each([{ type: 'credit', lines: -1 }, { type: 'hello' }, 7, null])(
  'a viewer that says %j is told to go',
  async (message) => {
    const socket = await watchTailSocket(server)
    socket.send(message)
    expect(await socket.closed).toBe(1003)
  },
)

test("a browser's token, which it says as a subprotocol, ends what it watches when it is revoked", async () => {
  const { id, token } = created<{ id: string; token: string }>(
    await server.operator('POST', '/operator-tokens', { name: 'a browser' }),
  )
  const socket = await watchTailSocket(server, '', {
    'sec-websocket-protocol': `osquery-edge, bearer.${token}`,
  })
  await server.operator('DELETE', `/operator-tokens/${id}`)
  const last = await server.until(async () => {
    await send([crypto.randomUUID()])
    return socket.seen.find(({ type }) => type === 'end')
  })
  expect(last.reason).toBe('the operator token was revoked')
  expect(await socket.closed).toBe(1008)
})

test('there is room for 24, and then it says so', async () => {
  const sockets = await Promise.all(Array.from({ length: 24 }, () => watchTailSocket(server)))
  const refused = await server.operator('GET', '/environments/default/logs/tail')
  expect([refused.status, refused.headers.get('retry-after')]).toEqual([503, '30'])
  for (const socket of sockets) socket.close()
  const again = await server.until(() => watchTailSocket(server).catch(() => null))
  again.close()
})
