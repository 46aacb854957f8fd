import { describe, expect, it } from 'vitest'
import { useAgentFixture } from './agent-fixture.ts'
import { NODE_KEY } from './scripted-server.ts'

const USERS = { query: 'SELECT uid, username FROM users', interval: 60 }
const fixture = useAgentFixture()
const { enrolledAgent, misbehave, once, reply, sent } = fixture

describe('config', () => {
  it('stays when the server fails, and goes when a failure has no body', async () => {
    const agent = await enrolledAgent()
    reply('/config', { schedule: { users: USERS } })
    await agent.fetchConfig()
    misbehave('/config', { raw: 'retry', status: 503 })
    await agent.fetchConfig()
    expect(agent.scheduledNames).toEqual(['users'])
    expect(fixture.waits).toEqual([1000, 4000])
    misbehave('/config', { raw: '', status: 500 })
    await agent.fetchConfig()
    expect(agent.scheduledNames).toEqual([])
  })

  it('is asked again with a new key after node_invalid', async () => {
    const agent = await enrolledAgent()
    reply('/enroll', { node_key: 'key-2' })
    once('/config', { json: { node_invalid: true }, status: 401 })
    expect((await agent.fetchConfig()).ok).toBe(true)
    expect(sent('/config').map((request) => request.body.node_key)).toEqual([NODE_KEY, 'key-2'])
    expect(agent.counters.nodeInvalid).toBe(1)
  })

  it('counts a root that would crash osqueryd, and tries nothing again', async () => {
    const agent = await enrolledAgent()
    reply('/config', 'ok')
    expect((await agent.fetchConfig()).ok).toBe(false)
    expect([agent.counters.crashes, sent('/config').length]).toEqual([1, 1])
  })

  it('over 1 MiB leaves the agent without a schedule', async () => {
    const agent = await enrolledAgent()
    reply('/config', { schedule: { users: USERS }, padding: 'x'.repeat(1024 * 1024) })
    await agent.fetchConfig()
    expect(agent.scheduledNames).toEqual([])
  })

  it('brings views and decorators', async () => {
    const agent = await enrolledAgent()
    reply('/config', {
      views: { admins: "SELECT * FROM users WHERE username = 'root'" },
      decorators: { load: ['SELECT uuid AS host_uuid FROM system_info'], always: ["SELECT 'x' AS tag"] },
      schedule: { admins: { query: 'SELECT username FROM admins', interval: 60, snapshot: true } },
    })
    await agent.fetchConfig()
    agent.runSchedule()
    const line = JSON.parse(agent.bufferedLines[0]?.text ?? '')
    expect(line).toMatchObject({
      snapshot: [{ username: 'root' }],
      decorations: { host_uuid: agent.identity.host.uuid, tag: 'x' },
    })
  })
})

describe('the schedule', () => {
  it('runs what is due, when it is due', async () => {
    let nowMs = 1_000_000_000_000
    const agent = await enrolledAgent({ now: () => nowMs })
    reply('/config', {
      schedule: { time: { query: 'SELECT unix_time FROM time', interval: 100, snapshot: true } },
    })
    await agent.fetchConfig()
    expect(agent.runSchedule()).toBe(1)
    nowMs += 80_000
    expect(agent.runSchedule()).toBe(0)
    nowMs += 40_000
    expect(agent.runSchedule()).toBe(1)
    expect(agent.runSchedule({ force: true })).toBe(1)
  })

  it('reports wrong SQL as a status line', async () => {
    const agent = await enrolledAgent()
    reply('/config', { schedule: { broken: { query: 'SELECT * FROM nope', interval: 60 } } })
    await agent.fetchConfig()
    agent.runSchedule()
    const line = JSON.parse(agent.bufferedLines.at(-1)?.text ?? '')
    const message = 'Error executing scheduled query broken: no such table: nope'
    expect(line).toMatchObject({ severity: 2, filename: 'scheduler.cpp', message, version: '5.23.1' })
  })

  it('leaves out a pack whose discovery finds nothing or is wrong', async () => {
    const agent = await enrolledAgent()
    const queries = { a: USERS }
    reply('/config', {
      packs: {
        none: { discovery: ['SELECT 1', 'SELECT 1 WHERE 0'], queries },
        wrong: { discovery: ['SELECT 1 FROM nope'], queries },
      },
    })
    await agent.fetchConfig()
    expect(agent.runSchedule()).toBe(0)
  })
})

describe('osquery_schedule', () => {
  const costRows = (agent: { bufferedLines: readonly { text: string }[] }) => {
    const lines = agent.bufferedLines.map(({ text }) => JSON.parse(text) as Record<string, unknown>)
    return lines.findLast(({ name }) => name === 'cost')?.['snapshot'] as Record<string, string>[]
  }
  const cost = { query: 'SELECT * FROM osquery_schedule', interval: 1, snapshot: true }

  it('counts what each query cost since the agent started', async () => {
    let nowMs = 1_000_000_000_000
    const agent = await enrolledAgent({ now: () => nowMs })
    const heavy = { query: 'SELECT 1 /* simulated cpu_ms=900 memory=5000 */', interval: 1, snapshot: true }
    reply('/config', { schedule: { heavy, cost } })
    await agent.fetchConfig()
    agent.runSchedule()
    nowMs += 10_000
    agent.runSchedule()
    const [row] = costRows(agent)
    expect(row).toMatchObject({
      name: 'heavy',
      query: heavy.query,
      executions: '2',
      denylisted: '0',
      user_time: '1200',
      system_time: '600',
      wall_time_ms: '2160',
      average_memory: '5000',
    })
    expect(Number(row?.['output_size'])).toBeGreaterThan(0)
  })
})
