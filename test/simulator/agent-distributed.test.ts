import { describe, expect, it } from 'vitest'
import { useAgentFixture } from './agent-fixture.ts'
import { NODE_KEY } from './scripted-server.ts'

const fixture = useAgentFixture()
const { enrolledAgent, lastSent, newAgent, once, reply, sent } = fixture

describe('distributed queries', () => {
  it('run in order of id and are answered in one write', async () => {
    const agent = await enrolledAgent()
    reply('/distributed/read', { queries: { b: 'SELECT NULL AS n, 1 AS i', a: 'SELECT * FROM nope' } })
    const outcome = await agent.pollDistributed()
    expect(outcome.answered).toEqual(['a', 'b'])
    expect(sent('/distributed/write')).toHaveLength(1)
    expect(lastSent('/distributed/write')?.body).toMatchObject({
      queries: { a: [], b: [{ n: '', i: '1' }] },
      statuses: { a: 1, b: 0 },
      messages: { a: 'no such table: nope', b: '' },
      node_key: NODE_KEY,
    })
  })

  it('write nothing when nothing was asked', async () => {
    const agent = await enrolledAgent()
    const outcome = await agent.pollDistributed()
    expect(outcome).toEqual({ read: { ok: true, value: {} }, answered: [] })
    expect(sent('/distributed/write')).toEqual([])
  })

  it('keep answers until they are accepted, together with newer ones', async () => {
    const agent = await enrolledAgent()
    once(
      '/distributed/read',
      { json: { queries: { a: 'SELECT 1' } } },
      { json: { queries: { b: 'SELECT 2' } } },
    )
    const failure = { raw: 'retry', status: 503 }
    once('/distributed/write', failure, failure, failure)
    expect((await agent.pollDistributed()).write?.ok).toBe(false)
    expect([sent('/distributed/write').length, fixture.waits]).toEqual([3, [1000, 4000]])
    expect(agent.unacknowledgedAnswers).toEqual(['a'])
    expect((await agent.pollDistributed()).write?.ok).toBe(true)
    expect(lastSent('/distributed/write')?.body.statuses).toEqual({ a: 0, b: 0 })
    expect(agent.unacknowledgedAnswers).toEqual([])
  })

  it('are answered again under the new key after node_invalid on the write', async () => {
    const agent = await enrolledAgent()
    reply('/enroll', { node_key: 'key-2' })
    once('/distributed/read', { json: { queries: { a: 'SELECT 1' } } })
    once('/distributed/write', { json: { node_invalid: true } })
    expect((await agent.pollDistributed()).write?.ok).toBe(true)
    expect(lastSent('/distributed/write')?.body).toMatchObject({ node_key: 'key-2', statuses: { a: 0 } })
  })

  it('are polled for faster until the time that the server said, which 0 ends', async () => {
    const nowMs = 1_000_000_000_000
    const agent = await enrolledAgent({ now: () => nowMs })
    reply('/distributed/read', { accelerate: 60 })
    await agent.pollDistributed()
    expect(agent.exportState().accelerateUntilMs).toBe(nowMs + 60_000)
    reply('/distributed/read', { accelerate: 0 })
    await agent.pollDistributed()
    expect(agent.exportState().accelerateUntilMs).toBe(nowMs)
  })

  it('are denylisted for as long as an option says', async () => {
    let nowMs = 1_000_000_000_000
    const state = { ...newAgent().exportState(), denylisted: { 'SELECT 1': nowMs } }
    const agent = newAgent({ state, now: () => nowMs, flags: { distributed_denylist_duration: '100' } })
    reply('/distributed/read', { queries: { a: 'SELECT 1' } })
    const status = async () => {
      await agent.pollDistributed()
      return lastSent('/distributed/write')?.body.statuses
    }
    expect(await status()).toEqual({ a: 1 })
    nowMs += 101_000
    expect(await status()).toEqual({ a: 0 })
  })

  it('whose discovery is wrong SQL abort the whole read', async () => {
    const agent = await enrolledAgent()
    const discovery = { a: 'SELECT 1', b: 'SELECT 1 FROM registry' }
    reply('/distributed/read', { queries: { a: 'SELECT 1', b: 'SELECT 2' }, discovery })
    expect((await agent.pollDistributed()).answered).toEqual([])
    expect(agent.counters.brokenReads).toBe(1)
  })
})
