import { gzipSync } from 'node:zlib'
import { describe, expect, it } from 'vitest'
import type { AgentOptions } from '../../src/simulator/agent-options.ts'
import { endpointsFor } from '../../src/simulator/endpoints.ts'
import { useAgentFixture } from './agent-fixture.ts'
import { NODE_KEY } from './scripted-server.ts'

const USERS = { query: 'SELECT uid, username FROM users', interval: 60 }
const fixture = useAgentFixture()
const { enrolledAgent, lastSent, misbehave, newAgent, once, sent } = fixture

describe('a request', () => {
  it('carries the headers of a real agent', async () => {
    const agent = await enrolledAgent()
    await agent.fetchConfig()
    expect(sent('/enroll')[0]?.headers).not.toHaveProperty('authorization')
    expect(lastSent('/config')?.text).toBe(`{"node_key":"${NODE_KEY}"}`)
    expect(lastSent('/config')?.headers).toEqual({
      'content-type': 'application/json',
      accept: 'application/json',
      'user-agent': 'osquery/5.23.1',
      authorization: `NodeKey ${NODE_KEY}`,
      'content-length': '20',
      host: fixture.server.url.slice('http://'.length),
    })
  })

  it('of an old agent has the key in the body alone', async () => {
    const agent = await enrolledAgent({ authorizationHeader: false, version: '5.12.0' })
    await agent.fetchConfig()
    expect(lastSent('/config')?.headers).not.toHaveProperty('authorization')
    expect(lastSent('/config')?.headers['user-agent']).toBe('osquery/5.12.0')
  })

  it('is sent once more at once when the connection breaks', async () => {
    const agent = await enrolledAgent()
    once('/config', 'close')
    expect((await agent.fetchConfig()).ok).toBe(true)
    expect([sent('/config').length, fixture.waits]).toEqual([2, []])
  })

  it('is given up after the deadline, without a resend', async () => {
    const agent = await enrolledAgent({ requestTimeoutMs: 50 })
    once('/log', 'never')
    const [flushed] = await agent.flushLogs()
    expect(flushed?.outcome).toEqual({ ok: false, reason: 'timed out' })
    expect([sent('/log').length, agent.counters.timeouts]).toEqual([1, 1])
  })

  it('follows a redirect with method and body', async () => {
    const agent = await enrolledAgent()
    once('/config', { raw: '', status: 302, headers: { location: '/elsewhere' } })
    fixture.server.on.set('/elsewhere', () => ({ json: { schedule: { users: USERS } } }))
    await agent.fetchConfig()
    expect(fixture.server.requests('/elsewhere')[0]?.text).toBe(`{"node_key":"${NODE_KEY}"}`)
    expect(agent.scheduledNames).toEqual(['users'])
  })

  it('does not follow a relative redirect that does not begin with a slash', async () => {
    const agent = await enrolledAgent()
    misbehave('/config', { raw: '', status: 302, headers: { location: 'elsewhere' } })
    expect((await agent.fetchConfig()).ok).toBe(false)
    expect(sent('/config')).toHaveLength(6)
  })

  it('takes a compressed reply only if a flag asked for it, since 5.21.0', async () => {
    const body = gzipSync('{"schedule":{"users":{"query":"SELECT 1","interval":60}}}')
    const compressed = { raw: body, headers: { 'content-encoding': 'gzip' } }
    misbehave('/config', compressed)
    const flags = { tls_accept_gzip: 'true' }
    const names = async (options: Partial<AgentOptions>) => {
      const agent = await enrolledAgent(options)
      await agent.fetchConfig()
      return agent.scheduledNames
    }
    expect(await names({ flags })).toEqual(['users'])
    expect(lastSent('/config')?.headers['accept-encoding']).toBe('gzip')
    expect(await names({})).toEqual([])
    expect(await names({ flags, version: '5.20.0' })).toEqual([])
    expect(lastSent('/config')?.headers).not.toHaveProperty('accept-encoding')
  })

  it('fails on 304, twice per try', async () => {
    const agent = await enrolledAgent()
    misbehave('/config', { raw: '', status: 304 })
    expect((await agent.fetchConfig()).ok).toBe(false)
    expect(sent('/config')).toHaveLength(6)
  })

  it('goes to the paths of another layout', async () => {
    const agent = newAgent({ endpoints: endpointsFor('osctrl', 'prod') })
    fixture.server.on.set('/prod/enroll', () => ({ json: { node_key: 'k' } }))
    expect(await agent.enroll()).toEqual({ ok: true, value: 'k' })
  })
})
