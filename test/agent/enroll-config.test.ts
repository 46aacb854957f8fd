import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { ENROLL_SECRET, STARTER_CONFIGURATION, startServer, type TestServer } from '../support/harness.ts'

let server: TestServer
beforeAll(async () => {
  server = await startServer()
})
afterAll(() => server.close())

describe('enroll and config', () => {
  it('gives a node key for the right secret, and the document for the key', async () => {
    const nodeKey = await server.enroll('web-17')
    expect(nodeKey).toMatch(/^oen1-[A-Za-z0-9_-]{70,100}$/)
    const inBody = await server.agent('/api/osquery/config', { node_key: nodeKey })
    expect([inBody.status, inBody.text]).toEqual([200, STARTER_CONFIGURATION])
    const inHeader = await server.agent('/api/v1/osquery/config', {}, { authorization: `NodeKey ${nodeKey}` })
    expect(inHeader.text).toBe(STARTER_CONFIGURATION)
  })

  it('refuses a wrong, empty or blank secret', async () => {
    for (const secret of ['wrong', '', '   ']) {
      const reply = await server.agent('/api/osquery/enroll', { enroll_secret: secret, host_identifier: 'x' })
      expect([reply.status, reply.text]).toEqual([200, '{"node_invalid":true}'])
    }
  })

  it('enrolls a host of the oldest shape, and the same host twice as one node', async () => {
    const body = { enroll_secret: ENROLL_SECRET, host_identifier: 'old-box', platform_type: '9' }
    const keys = await Promise.all([1, 2].map(() => server.agent('/api/osquery/enroll', body)))
    for (const reply of keys) {
      const { node_key: nodeKey } = reply.json<{ node_key: string }>()
      expect((await server.agent('/api/osquery/config', { node_key: nodeKey })).text).toBe(
        STARTER_CONFIGURATION,
      )
    }
    const { results } = await server.env.DB.prepare(
      "SELECT ordinal FROM nodes WHERE hostname = 'old-box'",
    ).all()
    expect(results).toHaveLength(1)
  })

  it.each(['{"host_identifier":', '[]', '', '"x"'])(
    'answers retry to the malformed body %j',
    async (body) => {
      const reply = await server.agent('/api/osquery/enroll', body)
      expect([reply.status, reply.text]).toEqual([400, 'retry'])
    },
  )
})
