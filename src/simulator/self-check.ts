/** One pass through every endpoint of a server, with an osqueryd's verdict on each: `npm run agent -- --once`. */
import type { Result } from '../lib/result.ts'
import type { SimulatedAgent } from './agent.ts'
import type { EndpointName } from './endpoints.ts'

/** Verdict on one endpoint. */
export interface CheckedStep {
  readonly endpoint: EndpointName | 'log (result)' | 'log (status)'
  readonly isOk: boolean
  /** What was seen, or why it failed. */
  readonly detail: string
}

/** Flushes until the buffer is empty, but not for ever. */
const MAX_FLUSHES = 1_000

/**
 * Enrolls anew, fetches the configuration, runs the whole schedule and sends its lines, answers what is asked, and
 * carves `carvePath`. Endpoints that nobody gave a reason to call are called with something harmless.
 */
export async function checkServer(agent: SimulatedAgent, carvePath: string): Promise<CheckedStep[]> {
  const key = await agent.enroll()
  const enrolled = step('enroll', key, (value) => `node key of ${value.length} characters`)
  // Without a key every other endpoint would only say so again, after all its tries.
  if (!key.ok) return [enrolled]
  const config = step(
    'config',
    await agent.fetchConfig(),
    () => `${agent.scheduledNames.length} scheduled queries`,
  )
  return [
    enrolled,
    config,
    ...(await checkLogs(agent)),
    ...(await checkDistributed(agent)),
    ...(await checkCarve(agent, carvePath)),
  ]
}

async function checkLogs(agent: SimulatedAgent): Promise<CheckedStep[]> {
  const lines = agent.runSchedule({ force: true })
  if (lines === 0) {
    const version = agent.runSql('SELECT version FROM osquery_info')
    agent.logSnapshot('agent_self_check', version.ok ? version.value : [])
  }
  agent.logStatus(0, 'main.ts', 1, 'simulated agent: one pass through every endpoint')
  const sent = { result: 0, status: 0 }
  const problems = { result: '', status: '' }
  for (let i = 0; i < MAX_FLUSHES && agent.bufferedLines.length > 0; i += 1) {
    const flushed = await agent.flushLogs()
    for (const { kind, lines: count, outcome } of flushed) {
      if (outcome.ok) sent[kind] += count
      else problems[kind] = outcome.reason
    }
    if (flushed.some(({ outcome }) => !outcome.ok)) break
  }
  return (['result', 'status'] as const).map((kind) => ({
    endpoint: `log (${kind})` as const,
    isOk: problems[kind] === '' && sent[kind] > 0,
    detail: problems[kind] || `${sent[kind]} lines acknowledged`,
  }))
}

async function checkDistributed(agent: SimulatedAgent): Promise<CheckedStep[]> {
  const { read, answered, write } = await agent.pollDistributed()
  const readStep = step('read', read, () => `${answered.length} queries to answer`)
  if (write) return [readStep, step('write', write, () => `answers to ${answered.join(', ')} accepted`)]
  const empty = await agent.sendWrite({ queries: {}, statuses: {}, messages: {}, stats: {} })
  return [readStep, step('write', empty, () => 'a write without answers accepted')]
}

async function checkCarve(agent: SimulatedAgent, carvePath: string): Promise<CheckedStep[]> {
  const { guid } = agent.scheduleCarve([carvePath])
  await agent.carvePending()
  const carve = agent.carves.find((record) => record.guid === guid)
  const isBegun = agent.counters.calls.carveStart.ok > 0
  const isDone = carve?.status === 'SUCCESS'
  const problem = carve?.problem ?? 'carve lost'
  return [
    { endpoint: 'carveStart', isOk: isBegun, detail: isBegun ? `session for ${carvePath}` : problem },
    {
      endpoint: 'carveBlock',
      isOk: isDone,
      detail: isDone ? `${carve.sizeBytes} bytes, sha256 ${carve.sha256}` : problem,
    },
  ]
}

function step<T>(
  endpoint: EndpointName,
  outcome: Result<T, string>,
  describe: (value: T) => string,
): CheckedStep {
  return { endpoint, isOk: outcome.ok, detail: outcome.ok ? describe(outcome.value) : outcome.reason }
}
