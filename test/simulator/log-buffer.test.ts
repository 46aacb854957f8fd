/** The order in which lines leave, and what happens when there are too many (specification 4.4). */
import { describe, expect, it } from 'vitest'
import type { LineKind } from '../../src/simulator/log-buffer.ts'
import { LogBuffer } from '../../src/simulator/log-buffer.ts'
import { useAgentFixture } from './agent-fixture.ts'

const line = (text: string, kind: LineKind = 'result') => ({ kind, text })
const texts = (buffer: LogBuffer) => buffer.lines.map(({ text }) => text)

describe('a log buffer', () => {
  it('is ordered by second, and within one by the number’s text: 10 before 2', () => {
    const buffer = new LogBuffer()
    for (let n = 1; n <= 11; n += 1) buffer.add(line(String(n)), 1_800_000_000)
    buffer.add(line('later'), 1_800_000_001)
    expect(texts(buffer)).toEqual(['1', '10', '11', '2', '3', '4', '5', '6', '7', '8', '9', 'later'])
  })

  it('sends what an earlier life left behind first', () => {
    const buffer = new LogBuffer([line('old')])
    buffer.add(line('new'), 1)
    expect(texts(buffer)).toEqual(['old', 'new'])
  })

  it('sends 1,024 lines of both kinds together, so that results starve statuses', () => {
    const buffer = new LogBuffer()
    buffer.add(line('s', 'status'), 1)
    for (let n = 0; n < 1_100; n += 1) buffer.add(line(String(n)), 2)
    const sizes = () => buffer.batches(1_024, 1_000).map(({ kind, lines }) => [kind, lines.length])
    expect(sizes()).toEqual([['result', 1_024]])
    const [first] = buffer.batches(1_024, 1_000)
    if (first) buffer.acknowledge(first)
    expect(sizes()).toEqual([
      ['result', 76],
      ['status', 1],
    ])
  })

  it('forgets just what was acknowledged, although lines came in between and old ones went', () => {
    const buffer = new LogBuffer()
    for (const text of ['2', '3', '4']) buffer.add(line(text), 7)
    const [batch] = buffer.batches(2, 1_000)
    buffer.purge(2)
    buffer.add(line('before'), 1)
    if (batch) buffer.acknowledge(batch)
    expect(texts(buffer)).toEqual(['before', '4'])
  })

  it('throws away the oldest of both kinds beyond its limit, and nothing without one', () => {
    const buffer = new LogBuffer()
    buffer.add(line('oldest', 'status'), 1)
    buffer.add(line('old'), 2)
    buffer.add(line('new', 'status'), 3)
    expect([buffer.purge(0), buffer.purge(3), buffer.purge(1)]).toEqual([0, 0, 2])
    expect(texts(buffer)).toEqual(['new'])
  })
})

describe('an agent', () => {
  const { enrolledAgent, misbehave, reply, sent } = useAgentFixture()

  it('keeps buffered_log_max lines at most while the server is away, and counts the rest', async () => {
    const agent = await enrolledAgent({ flags: { buffered_log_max: '10', tls_disable_status_log: 'true' } })
    agent.logSnapshot('test', [])
    misbehave('/log', { raw: 'retry', status: 503 })
    for (let n = 0; n < 15; n += 1) agent.logSnapshot('test', [{ n: String(n) }])
    expect(agent.bufferedLines.length).toBeGreaterThan(10)
    await agent.flushLogs()
    expect([agent.bufferedLines.length, agent.counters.lines.purged]).toEqual([
      10,
      agent.counters.lines.produced - 10,
    ])
  })

  it('sends thousands of waiting lines in batches of 1,024', async () => {
    const agent = await enrolledAgent({ flags: { tls_disable_status_log: 'true' } })
    for (let n = 0; n < 2_500; n += 1) agent.logSnapshot('test', [{ n: String(n) }])
    reply('/log', {})
    while (agent.bufferedLines.length > 0) await agent.flushLogs()
    const sizes = sent('/log').map(({ body }) => (Array.isArray(body.data) ? body.data.length : 0))
    expect(sizes.slice(0, 2)).toEqual([1_024, 1_024])
    expect(sizes.reduce((sum, size) => sum + size, 0)).toBeGreaterThanOrEqual(2_500)
  })

  it('forgets lines after a failure that looks like a success: they are counted as dropped', async () => {
    const agent = await enrolledAgent({ flags: { tls_disable_status_log: 'true' } })
    while (agent.bufferedLines.length > 0) await agent.flushLogs()
    const { dropped } = agent.counters.lines
    agent.logSnapshot('test', [])
    misbehave('/log', { raw: '', status: 500 })
    await agent.flushLogs()
    expect([agent.bufferedLines, agent.counters.lines.dropped]).toEqual([[], dropped + 1])
  })
})
