/** Large bodies on their way through the guard, and those that are answered before they were read. */

import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { OPERATOR_TOKEN, startServer, type TestServer } from '../support/harness.ts'
import { idsOf, logBody, sendLog, type LogList } from './support.ts'

const MIB = 1_024 * 1_024

let server: TestServer
beforeAll(async () => {
  server = await startServer({ guarded: true })
})
afterAll(() => server.close())

/** Asks the app itself: the guard lets no operator through. */
async function operator(method: string, path: string) {
  const headers = { authorization: `Bearer ${OPERATOR_TOKEN}` }
  return server.worker.fetch(`/api/v1/environments/default/${path}`, { method, headers })
}

function bodyOf(nodeKey: string, bytes: number): string {
  return logBody(nodeKey, 'result', [`{"name":"large","v":"${'x'.repeat(bytes)}"}`])
}

describe('behind the guard', () => {
  it('3 MiB are taken, with the key in the header and without', async () => {
    const nodeKey = await server.enroll('guarded')
    await sendLog(server, bodyOf(nodeKey, 3 * MIB))
    await sendLog(server, bodyOf(nodeKey, 3 * MIB + 1), { authorization: `NodeKey ${nodeKey}` })
    await server.until(async () => {
      const reply = await operator('GET', `logs?node=${idsOf(nodeKey).nodeId}`)
      return ((await reply.json()) as LogList).items.length === 2
    })
  })

  it.each([10_000, 5 * MIB, 70 * MIB])(
    'a revoked node hears so, whatever it sends (%i bytes)',
    async (bytes) => {
      const nodeKey = await server.enroll(`revoked-${bytes}`)
      await operator('DELETE', `nodes/${idsOf(nodeKey).nodeId}`)
      const authorization = { authorization: `NodeKey ${nodeKey}` }
      await server.until(async () =>
        (await server.agent('/api/osquery/config', {}, authorization)).text.includes('node_invalid'),
      )
      const answer = await server.agent('/api/osquery/log', bodyOf(nodeKey, bytes), authorization)
      expect([answer.status, answer.text]).toEqual([200, '{"node_invalid":true}'])
      expect((await server.agent('/api/osquery/log', bodyOf(nodeKey, Math.min(bytes, 5 * MIB)))).text).toBe(
        '{"node_invalid":true}',
      )
    },
  )
})
