/**
 * A poisonous query on its way into a fleet: 1 % of the agents get it, die of it and tell so; the rollout must halt by
 * itself, nobody else may ever see it, and nothing of it may stay. Judged by what each agent was told.
 */

import { setTimeout as sleep } from 'node:timers/promises'
import { makeEnvironment } from '../../src/simulator/fleet/environment.ts'
import { startFleet, type Fleet } from '../../src/simulator/fleet/fleet.ts'
import { PROFILES, type Profile } from '../../src/simulator/fleet/profiles.ts'
import { sufferingOf } from '../../src/simulator/fleet/report.ts'
import type { OperatorClient } from '../../src/simulator/fleet/operator-client.ts'
import { CanaryRecord } from './canary-record.ts'
import type { Invariant } from './invariants.ts'
import type { ChaosOptions } from './options.ts'
import { reportOf, type ChaosReport } from './report.ts'
import { say } from './say.ts'
import { setStage } from './stage.ts'

/** Nothing that happens by chance: what an agent suffers here comes from the rollout. */
const PROFILE: Profile = {
  ...PROFILES.servers,
  versions: { '5.5.1': 0.1, '5.12.1': 0.2, '5.23.1': 0.7 },
  cloneShare: 0,
  skewedShare: 0,
  crashChance: 0,
  uploadCrashChance: 0,
  lostReplyChance: 0.002,
  travelShare: 0,
}
const CONFIG_EVERY_S = 20
const OPTIONS = { config_tls_refresh: CONFIG_EVERY_S, distributed_interval: 60, logger_tls_period: 10 }
const STABLE = {
  options: OPTIONS,
  schedule: { uptime: { query: 'SELECT total_seconds FROM uptime', interval: 3_600, snapshot: true } },
}
const POISON = 'poison'
const POISON_SQL = 'SELECT 1 AS poison'
const CANDIDATE = {
  options: { ...OPTIONS, logger_tls_max_lines: 99, schedule_splay_percent: 3 },
  schedule: { ...STABLE.schedule, [POISON]: { query: POISON_SQL, interval: 60, snapshot: true } },
}
/** osquery's own (spec section 7). */
const DEFAULTS = { logger_tls_max_lines: '1024', schedule_splay_percent: '10' }
const ROLLOUT = {
  canary: { percent: 1 },
  steps: [
    { percent: 1, waitSeconds: 240 },
    { percent: 100, waitSeconds: 60 },
  ],
}
const RUN_MS = 1_800_000
/** Nodes that start in a second: machines are shared. */
const STARTS_PER_S = 50
const ENROLL_WITHIN_MS = 600_000
/** An agent whose first fetch failed tries again after 300 s (`config_accelerated_refresh`): so few are not waited for. */
const LATE_SHARE = 0.01
const LATE_AFTER_MS = 60_000
const HALT_WITHIN_MS = 420_000
/** The same agents, where a fetch failed later. */
const FREE_WITHIN_MS = 420_000
/** The platform's is a minute. */
const TICK_EVERY_MS = 10_000
const POLL_MS = 1_000

interface ShownRollout {
  id: string
  version: number
  state: string
  members: number
  served: boolean
  clearing: boolean
  reason: { by: string; detail: string } | null
  gates: { gate: string; status: string; detail: string }[]
}

export async function runCanary(options: ChaosOptions, folder: string): Promise<ChaosReport> {
  const { nodes, seed } = options
  const start = { front: 'new', objects: 'new' } as const
  const stage = await setStage({ folder, ports: 1, start, hasPrevious: false, previous: undefined })
  const stop = new AbortController()
  const ticking = setInterval(() => void stage.runtime.tick(Date.now()).catch(() => undefined), TICK_EVERY_MS)
  try {
    const { client } = stage
    const environment = await makeEnvironment(client, 'canary', STABLE)
    const path = `/environments/${environment.id}`
    await client.call('PUT', `${path}/built-in-queries`, { cost: { intervalS: 21_600 }, inventory: null })
    const record = new CanaryRecord({ poison: POISON, defaults: DEFAULTS })
    const fleet = startFleet({
      url: stage.runtime.urls[0] ?? '',
      enrollSecret: environment.enrollSecret,
      profile: PROFILE,
      nodes,
      seed,
      runMs: RUN_MS,
      spreadMs: (nodes / STARTS_PER_S) * 1_000,
      tempo: 1,
      keepAlive: false,
      stop: stop.signal,
      isPoison: (sql) => sql === POISON_SQL,
      onConfiguration: (member, document, flags) => record.note(member, document, flags),
    })
    say(`fleet     ${nodes} agents enroll`)
    await untilUp(record, nodes)
    say(`rollout   begins, with 1 % of them; ${record.configured} have their configuration`)
    const told = await rollOut(client, path, record)
    stop.abort()
    await fleet.ended
    return reportOf(options.scenario, judge(told, record, fleet, nodes), { rollout: told.rollout, seed })
  } finally {
    clearInterval(ticking)
    stop.abort()
    await stage.close()
  }
}

/** Waits until all agents have a configuration, or all but those that wait for their next try. */
async function untilUp(record: CanaryRecord, nodes: number): Promise<void> {
  let enoughMs = Number.POSITIVE_INFINITY
  const isUp = () => {
    if (record.configured >= nodes * (1 - LATE_SHARE)) enoughMs = Math.min(enoughMs, Date.now())
    return Promise.resolve(record.configured === nodes || Date.now() - enoughMs > LATE_AFTER_MS)
  }
  if (!(await until(isUp, ENROLL_WITHIN_MS)))
    throw new Error(`only ${record.configured} of ${nodes} agents came up`)
}

interface Told {
  rollout: ShownRollout
  startedMs: number
  /** 0: it never halted. */
  haltedMs: number
  /** The nodes that the server says were given it, by version, afterwards. */
  present: string
}

/** Starts the rollout and waits for its end, and for all agents to have polled after it. */
async function rollOut(client: OperatorClient, path: string, record: CanaryRecord): Promise<Told> {
  const startedMs = Date.now()
  const body = { document: CANDIDATE, layers: [], rollout: ROLLOUT }
  const applied = await client.json<{ rollout: ShownRollout }>('POST', `${path}/configuration/apply`, body)
  const at = `${path}/configuration/rollouts/${applied.rollout.id}`
  let rollout = applied.rollout
  const isHalted = await until(async () => {
    rollout = await client.json<ShownRollout>('GET', at)
    return rollout.state !== 'running' && rollout.state !== 'waiting'
  }, HALT_WITHIN_MS)
  const haltedMs = isHalted ? Date.now() : 0
  say(`rollout   is ${rollout.state}: ${rollout.reason?.detail ?? 'for no reason'}`)
  const sinceMs = Date.now()
  await until(
    () => Promise.resolve(record.holding === 0 && record.fetchedSince(sinceMs) === record.configured),
    FREE_WITHIN_MS,
  )
  // Once more, so that who is told by a head of before shows it.
  await sleep(CONFIG_EVERY_S * 1_000)
  const present = await client.call('GET', `${path}/configuration`)
  return { rollout: await client.json<ShownRollout>('GET', at), startedMs, haltedMs, present }
}

function judge(told: Told, record: CanaryRecord, fleet: Fleet, nodes: number): Invariant[] {
  const { haltedMs, present, rollout, startedMs } = told
  const { killed } = fleet.statistics
  const { failuresTakenForSuccess, linesDropped, schedulesWiped, wedged } = sufferingOf(fleet)
  const suffered = failuresTakenForSuccess + linesDropped + schedulesWiped + wedged
  const seconds = (fromMs: number, untilMs: number) => `${((untilMs - fromMs) / 1_000).toFixed(0)} s`
  const untouched = nodes - rollout.members
  return [
    invariant('the rollout halts by itself', rollout.state === 'halted' && rollout.reason?.by === 'gate', [
      `${rollout.state} ${haltedMs === 0 ? 'never' : `after ${seconds(startedMs, haltedMs)}`}`,
      `${rollout.reason?.detail ?? 'no reason'}`,
    ]),
    invariant('members got it and died of it, once each', record.poisoned > 0 && killed === record.poisoned, [
      `${record.poisoned} of ${rollout.members} members had it before the halt, ${killed} deaths`,
    ]),
    invariant('nobody else ever saw it', record.poisoned <= rollout.members && record.disturbed === 0, [
      `${untouched} of ${nodes} agents are no members; ${nodes - record.poisoned} never had the query`,
      `${record.disturbed} of those saw their document change by a byte`,
    ]),
    invariant('nothing of it stays with an agent', record.holding === 0, [
      `${record.holding} agents hold its query or an option of it`,
      record.lastFreedMs === 0
        ? 'nobody was rid of it'
        : `the last one ${seconds(haltedMs, record.lastFreedMs)} after the halt`,
    ]),
    invariant('operators see the version from before', !present.includes(POISON), [
      `members are served ${rollout.served ? 'the version' : 'what all others are'}`,
    ]),
    invariant('no agent suffered otherwise', suffered === 0, [
      `${schedulesWiped} schedules wiped, ${linesDropped} lines dropped, ${wedged} wedged`,
    ]),
  ]
}

function invariant(name: string, isOk: boolean, details: readonly string[]): Invariant {
  return { name, isOk, detail: details.join('; '), isTold: false }
}

/** Whether it came true in time. */
async function until(isTrue: () => Promise<boolean>, withinMs: number): Promise<boolean> {
  const endsAtMs = Date.now() + withinMs
  for (;;) {
    if (await isTrue()) return true
    if (Date.now() > endsAtMs) return false
    await sleep(POLL_MS)
  }
}
