import { describe, expect, it } from 'vitest'
import type { AgentState } from '../../src/simulator/agent-options.ts'
import type { SimulatedAgent } from '../../src/simulator/agent.ts'
import { useAgentFixture } from './agent-fixture.ts'

const BAD = { query: 'SELECT 1 AS bad', interval: 10, snapshot: true }
const NOW_MS = 1_000_000_000_000
const fixture = useAgentFixture()
const { enrolledAgent, newAgent, reply } = fixture

/** An agent that dies in the query: what its disk holds at that moment. */
async function deadIn(entry: object): Promise<AgentState> {
  reply('/config', { schedule: { bad: { ...BAD, ...entry } } })
  let atCrash: AgentState | undefined
  const agent: SimulatedAgent = await enrolledAgent({
    now: () => NOW_MS,
    onScheduledQuery: () => {
      atCrash ??= agent.exportState()
    },
  })
  await agent.fetchConfig()
  agent.runSchedule()
  if (atCrash === undefined) throw new Error('the query did not run')
  return atCrash
}

function denylisted(agent: SimulatedAgent): unknown {
  const rows = agent.runSql('SELECT denylisted FROM osquery_schedule')
  return rows.ok ? rows.value[0]?.['denylisted'] : rows.reason
}

describe('a scheduled query that was running when osqueryd died', () => {
  it('is left out for a day, shown as denylisted and told of', async () => {
    let nowMs = NOW_MS
    const agent = newAgent({ state: await deadIn({}), now: () => nowMs })
    await agent.fetchConfig()
    expect(agent.runSchedule()).toBe(0)
    expect(denylisted(agent)).toBe('1')
    const lines = agent.bufferedLines.map(({ text }) => text).join('\n')
    expect(lines).toContain('Scheduled query may have failed: bad')
    nowMs += 86_400_001
    expect(agent.runSchedule()).toBe(1)
    expect(denylisted(agent)).toBe('0')
  })

  it('stays left out over further restarts, and is told of once', async () => {
    const second = newAgent({ state: await deadIn({}), now: () => NOW_MS })
    const third = newAgent({ state: { ...second.exportState(), lines: [] }, now: () => NOW_MS + 1_000 })
    await third.fetchConfig()
    expect(denylisted(third)).toBe('1')
    expect(third.bufferedLines.map(({ text }) => text).join('\n')).not.toContain('may have failed')
  })

  it('runs all the same where its configuration says denylist: false', async () => {
    const agent = newAgent({ state: await deadIn({ denylist: false }), now: () => NOW_MS })
    await agent.fetchConfig()
    expect(agent.runSchedule()).toBe(1)
    expect(denylisted(agent)).toBe('0')
  })
})
