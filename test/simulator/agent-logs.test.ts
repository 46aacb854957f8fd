import { describe, expect, it } from 'vitest'
import { useAgentFixture } from './agent-fixture.ts'
import { NODE_KEY } from './scripted-server.ts'

const USERS = { query: 'SELECT uid, username FROM users', interval: 60 }
const fixture = useAgentFixture()
const { enrolledAgent, lastSent, misbehave, once, reply, sent } = fixture

describe('logs', () => {
  it('go out as results and statuses, byte by byte as they were made', async () => {
    const agent = await enrolledAgent()
    reply('/config', { schedule: { users: USERS } })
    await agent.fetchConfig()
    agent.runSchedule()
    const lines = agent.bufferedLines
    await agent.flushLogs()
    const [results, statuses] = sent('/log')
    expect([results?.body.log_type, statuses?.body.log_type]).toEqual(['result', 'status'])
    const texts = lines.filter((line) => line.kind === 'result').map((line) => line.text)
    expect(results?.text).toBe(`{"data":[${texts.join(',')}],"log_type":"result","node_key":"${NODE_KEY}"}`)
    expect(agent.bufferedLines).toEqual([])
    expect(agent.acknowledgedLines).toEqual(lines)
    expect(agent.counters.lines).toMatchObject({ sent: lines.length, acknowledged: lines.length })
  })

  it.each([
    ['the text retry', { raw: 'retry', status: 503 }],
    ['an error', { json: { error: 'x' } }],
    ['node_invalid', { json: { node_invalid: true } }],
  ])('stay until acknowledged: %s', async (_, failure) => {
    const agent = await enrolledAgent()
    agent.logSnapshot('test', [{ a: '1' }])
    const [line] = agent.bufferedLines
    once('/log', failure, failure)
    const first = await agent.flushLogs()
    expect(first.map(({ outcome }) => outcome.ok)).toEqual([false, false])
    agent.logSnapshot('test', [{ a: '2' }])
    await agent.flushLogs()
    expect(agent.bufferedLines).toEqual([])
    expect(agent.sentLines.filter((item) => item.text === line?.text)).toHaveLength(2)
    expect(agent.acknowledgedLines.filter((item) => item.text === line?.text)).toHaveLength(1)
  })

  it('back off per kind after failures', async () => {
    let nowMs = 1_000_000_000_000
    const agent = await enrolledAgent({ now: () => nowMs, flags: { tls_disable_status_log: 'true' } })
    agent.logSnapshot('test', [])
    misbehave('/log', { raw: 'retry' })
    const sentAfterMs = async (waitMs: number) => {
      nowMs += waitMs
      return (await agent.flushLogs({ respectBackoff: true })).length
    }
    expect([await sentAfterMs(0), await sentAfterMs(3_999), await sentAfterMs(1)]).toEqual([1, 0, 1])
    expect([await sentAfterMs(15_999), await sentAfterMs(1)]).toEqual([0, 1])
  })

  it('are cut at logger_tls_max_lines, results first', async () => {
    const agent = await enrolledAgent({ flags: { logger_tls_max_lines: '3' } })
    for (let i = 0; i < 4; i += 1) agent.logSnapshot('test', [{ i: String(i) }])
    expect((await agent.flushLogs()).map(({ kind, lines }) => [kind, lines])).toEqual([['result', 3]])
    expect((await agent.flushLogs()).map(({ kind, lines }) => [kind, lines])).toEqual([
      ['result', 1],
      ['status', 1],
    ])
  })

  it('are compressed if the option says so', async () => {
    const agent = await enrolledAgent()
    reply('/config', { options: { logger_tls_compress: true } })
    await agent.fetchConfig()
    await agent.flushLogs()
    expect(lastSent('/log')?.headers['content-encoding']).toBe('gzip')
    expect(Object.keys(lastSent('/log')?.body ?? {})).toEqual(['node_key', 'log_type', 'data'])
  })

  it('that are too long are never sent, and go with the batch that they held up', async () => {
    const agent = await enrolledAgent({ flags: { logger_tls_max_linesize: '500' } })
    agent.logSnapshot('test', [{ a: 'x'.repeat(600) }])
    agent.logSnapshot('test', [{ a: 'short' }])
    await agent.flushLogs()
    expect(sent('/log')[0]?.body).toMatchObject({
      log_type: 'result',
      data: [{ snapshot: [{ a: 'short' }] }],
    })
    expect(agent.bufferedLines.filter((line) => line.kind === 'result')).toEqual([])
    expect(agent.counters.lines.dropped).toBe(1)
  })
})
