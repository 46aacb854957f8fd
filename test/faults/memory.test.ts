/** An isolate has 128 MB for all of its requests, and an out-of-memory kill cannot be caught: so we never get there. */

import { afterAll, beforeAll, expect, it } from 'vitest'
import { startServer, type TestServer } from '../support/harness.ts'

const MIB = 1_024 * 1_024

let server: TestServer
let nodeKey: string
beforeAll(async () => {
  server = await startServer({ entry: 'test/faults/entry.ts' })
  nodeKey = await server.enroll('heavy')
})
afterAll(() => server.close())

function logBody(bytes: number): Uint8Array {
  const frame = '{"data":[{"name":"big","columns":{"a":""},"action":"added"}],"log_type":"result"}'
  return Buffer.from(frame.replace('"a":""', `"a":"${'x'.repeat(bytes - frame.length)}"`))
}

it('bodies that do not fit into the isolate are told retry, the others are kept, and polls go on', async () => {
  const headers = { authorization: `NodeKey ${nodeKey}` }
  const body = logBody(MIB)
  // R2 that crawls keeps every body in memory until its deadline.
  const posts = Array.from({ length: 44 }, () =>
    server.agent('/api/osquery/log', body, { ...headers, 'x-test-faults': 'ARCHIVE=slow' }),
  )
  await server.until(async () => (await server.agent('/api/osquery/log', body, headers)).text === 'retry')
  expect((await server.agent('/api/osquery/config', { node_key: nodeKey })).status).toBe(200)

  for (const { text } of await Promise.all(posts)) expect(['retry', '']).toContain(text)
  const after = await server.agent('/api/osquery/log', body, headers)
  expect([after.status, after.text]).toEqual([200, '{}'])
})

it('large bodies are streamed: more of them than an isolate has memory for', async () => {
  const body = logBody(20 * MIB)
  const headers = { authorization: `NodeKey ${nodeKey}` }
  // On a busy machine one may meet its deadline: like an agent, it comes again.
  const sendUntilTaken = () =>
    server.until(async () => {
      const { text } = await server.agent('/api/osquery/log', body, headers)
      expect(['{}', 'retry', '']).toContain(text)
      return text === '{}'
    })
  expect(await Promise.all(Array.from({ length: 8 }, sendUntilTaken))).toEqual(
    Array.from({ length: 8 }, () => true),
  )
})
