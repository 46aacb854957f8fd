import { describe, expect, it } from 'vitest'
import { useAgentFixture } from './agent-fixture.ts'
import { NODE_KEY } from './scripted-server.ts'

const USERS = { query: 'SELECT uid, username FROM users', interval: 60 }
const fixture = useAgentFixture()
const { enrolledAgent, lastSent, misbehave, newAgent, once, reply, sent } = fixture

describe('enroll', () => {
  it('sends secret, identity and host details, all of them strings', async () => {
    const agent = await enrolledAgent()
    const body = sent('/enroll')[0]?.body
    const { uuid, hostname } = agent.identity.host
    expect(body).toMatchObject({ enroll_secret: 's3cr3t', host_identifier: uuid, platform_type: '9' })
    expect(body?.host_details).toMatchObject({
      os_version: { platform: 'ubuntu' },
      osquery_info: { uuid, instance_id: agent.identity.instanceId, config_valid: '0' },
      system_info: { uuid, hostname },
      platform_info: { firmware_type: 'uefi' },
    })
    const values = Object.values(body?.host_details ?? {}).flatMap((row) => Object.values(row ?? {}))
    expect(values.every((value) => typeof value === 'string')).toBe(true)
  })

  it('tries 12 times with n² seconds between', async () => {
    misbehave('/enroll', { json: { node_invalid: true }, status: 401 })
    expect((await newAgent().enroll()).ok).toBe(false)
    expect(fixture.waits).toEqual(
      [1, 4, 9, 16, 25, 36, 49, 64, 81, 100, 121].map((seconds) => seconds * 1000),
    )
    expect(sent('/enroll')).toHaveLength(12)
  })

  it('that failed leaves an empty key in the next request', async () => {
    const agent = newAgent({ flags: { tls_enroll_max_attempts: '1' } })
    once('/enroll', { raw: 'retry', status: 503 })
    await agent.fetchConfig()
    expect(lastSent('/config')?.text).toBe('{"node_key":""}')
    expect(lastSent('/config')?.headers).not.toHaveProperty('authorization')
  })

  it('is one round for callers at the same time', async () => {
    const agent = newAgent()
    await Promise.all([agent.fetchConfig(), agent.flushLogs(), agent.pollDistributed()])
    expect(sent('/enroll')).toHaveLength(1)
  })
})

describe('a dead key', () => {
  it('is kept with disable_reenrollment, and sent for ever', async () => {
    const agent = await enrolledAgent({ flags: { disable_reenrollment: 'true' } })
    reply('/config', { node_invalid: true })
    await agent.fetchConfig()
    expect([agent.nodeKey, sent('/enroll').length, sent('/config').length]).toEqual([NODE_KEY, 1, 3])
  })

  it('is asked for at each start with enroll_always', async () => {
    const state = (await enrolledAgent()).exportState()
    const agent = newAgent({ state, flags: { enroll_always: 'true' } })
    await agent.fetchConfig()
    expect(sent('/enroll')).toHaveLength(2)
  })
})

describe('an agent that starts again', () => {
  it('goes on with its identity, key, waiting lines and remembered rows', async () => {
    const before = await enrolledAgent()
    reply('/config', { schedule: { users: USERS } })
    await before.fetchConfig()
    before.runSchedule()
    const state = JSON.parse(JSON.stringify(before.exportState()))
    const after = newAgent({ state })
    expect(after.nodeKey).toBe(NODE_KEY)
    expect(after.identity.instanceId).toBe(before.identity.instanceId)
    expect(after.bufferedLines.filter((line) => line.kind === 'result')).toHaveLength(
      before.bufferedLines.filter((line) => line.kind === 'result').length,
    )
    await after.fetchConfig()
    expect(after.runSchedule()).toBe(0)
  })
})
