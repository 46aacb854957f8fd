/** The scenarios of `npm run chaos`: each sets its stage, breaks something, and gives back what it found. */

import { setTimeout as sleep } from 'node:timers/promises'
import { makeEnvironment } from '../../src/simulator/fleet/environment.ts'
import { runCanary } from './canary.ts'
import { execute } from './execute.ts'
import { judgeEvidence, type Evidence, type MemoryLevel } from './invariants.ts'
import { Stranger } from './junk.ts'
import { heldBytes } from './memory.ts'
import type { ChaosOptions } from './options.ts'
import { makePlan, planText } from './plan.ts'
import type { Runtime } from './runtime.ts'
import { reportOf, struckText, type ChaosReport } from './report.ts'
import type { ScenarioName } from './scenario-names.ts'
import { SilentNode } from './silent-node.ts'
import { say } from './say.ts'
import { setStage, type Stage } from './stage.ts'
import { Trial } from './trial.ts'
import { NO_CHAOS } from './worker/fault.ts'

/** Each is an option, and a function. */
export const RUNS: Readonly<
  Record<ScenarioName, (options: ChaosOptions, folder: string) => Promise<ChaosReport>>
> = { faults: runFaults, canary: runCanary }

/** Of load before anything is broken, to know its memory. */
const CALM_MS = { short: 5_000, long: 30_000 } as const
const ENROLL_WITHIN_MS = 60_000
/** How long a fleet may take to be served again; its own back-offs are 5 s at most. */
const WHOLE_WITHIN_MS = 60_000
/** Polls every 3 s, lines every 3 s, configuration every 15 s; and what an operator does beside. */
const LOAD = { tempo: 20, queryEveryMs: 6_000, carveEveryMs: 15_000, deleteEveryMs: 13_000 }
/** The archive is whole when reading begins, see untilArchived; what is read may be a little older. */
const VERIFY_PATIENCE_MS = 15_000
/** The consumer is given up where it archives nothing for so long; messages that failed often are away for a minute. */
const NO_PROGRESS_MS = 75_000
/** Objects try again what failed while they put a carve together. */
const CARVE_PATIENCE_MS = 45_000
/** The platform's is a minute; each tick sends a message for every body that waits, so that often is no help. */
const TICK_EVERY_MS = 15_000
/** The sweeper leaves alone what is younger than this; nothing is on its way any more when it is told to hurry. */
const AHEAD_MS = 60_000
const INBOX_POLL_MS = 500

/** Everything that can break, in turn and at random, under one fleet. */
async function runFaults(options: ChaosOptions, folder: string): Promise<ChaosReport> {
  const { nodes, sabotage, seed } = options
  const start = { front: 'old', objects: 'old' } as const
  const stage = await setStage({ folder, ports: 2, start, hasPrevious: true, previous: options.previous })
  try {
    const { bundles, client, keys, runtime } = stage
    const classes = Object.values(bundles.new.options.durableObjects).map(({ className }) => className)
    const plan = makePlan({ seed, lastsMs: options.minutes * 60_000, classes })
    console.log(`versions  new: ${bundles.new.version}; old: ${bundles.old.version}\n\n${planText(plan)}\n`)
    const [url = '', strangersUrl = ''] = runtime.urls
    const [port = 0] = runtime.ports
    const trial = await Trial.start(
      { ...LOAD, name: 'fleet', url, client, keys, nodes, seed },
      stage.witnesses,
    )
    const defects = sabotage === undefined ? [] : [{ sabotage, port, environmentId: trial.environment.id }]
    await runtime.set({ ...NO_CHAOS, defects })
    const environment = await makeEnvironment(client, 'strangers', { options: { distributed_interval: 1 } })
    stage.witnesses.set(Number(new URL(strangersUrl).port), trial.witness)
    const stranger = new Stranger({
      url: strangersUrl,
      seed,
      environment,
      otherEnvironmentId: trial.environment.id,
      client,
      witness: trial.witness,
      keys,
    })
    await stranger.settle()
    const silent = await SilentNode.enroll(stranger, client, environment.id, keys)
    say(`fleet     ${nodes} agents enroll`)
    const enrolled = await trial.untilWhole(ENROLL_WITHIN_MS)
    if (enrolled.missing > 0 && sabotage === undefined) throw new Error('the fleet does not come up')
    const size = options.short ? 'short' : 'long'
    const before = await memoryAfter(runtime, CALM_MS[size])

    say('chaos     begins')
    const ticking = setInterval(() => void tick(stage, Date.now()), TICK_EVERY_MS)
    const execution = await execute({ plan, runtime, defects, stranger, say })
    const offMs = Date.now()
    clearInterval(ticking)
    console.log(`\n${struckText(plan, execution)}\n`)
    say('chaos     is over; the fleet drains')
    void tick(stage, Date.now() + AHEAD_MS)
    const hurrying = setInterval(() => void tick(stage, Date.now() + AHEAD_MS), TICK_EVERY_MS)
    const evidence = await gather(trial, stranger, silent, offMs)
    const after = await memoryAfter(runtime, CALM_MS[size])
    await trial.stop()
    say(`fleet     stopped after ${trial.fleet.statistics.requests} requests; everything is read back`)
    await untilArchived(runtime, trial.environment.id)
    const verification = await trial.verify(VERIFY_PATIENCE_MS)
    const carves = await trial.carves(CARVE_PATIENCE_MS)
    clearInterval(hurrying)
    stranger.close()
    const invariants = judgeEvidence({
      ...evidence,
      ...witnessed(trial, stranger),
      verdicts: verification.verdicts,
      examples: verification.examples,
      carves,
      memory: { before, after },
    })
    const { counters, requests } = trial.fleet.statistics
    return reportOf(options.sabotage ?? options.scenario, invariants, {
      plan,
      versions: { new: bundles.new.version, old: bundles.old.version },
      struck: Object.fromEntries(execution.struck),
      junk: Object.fromEntries(stranger.bySort),
      requests,
      counters,
      queriesNotOpened: trial.fleet.liveQueries?.failures.length ?? 0,
      carvesNotOpened: trial.fleet.liveCarves?.failures.length ?? 0,
      nodesNotDeleted: trial.fleet.deletions?.failures.length ?? 0,
    })
  } finally {
    await stage.close()
  }
}

/** After some time of load, so that what was under way has ended. */
async function memoryAfter(runtime: Runtime, calmMs: number): Promise<MemoryLevel> {
  await sleep(calmMs)
  return { heldBytes: await heldBytes(await runtime.inspectors()), residentBytes: runtime.residentBytes() }
}

/** Waits until the inbox of an environment is empty, as long as it becomes emptier. */
async function untilArchived(runtime: Runtime, environmentId: string): Promise<void> {
  let [fewest, sinceMs] = [Number.POSITIVE_INFINITY, Date.now()]
  for (;;) {
    const waiting = await runtime.waitingBodies(environmentId)
    if (waiting === 0) return
    if (waiting < fewest) [fewest, sinceMs] = [waiting, Date.now()]
    if (Date.now() - sinceMs > NO_PROGRESS_MS) return say(`inbox     ${waiting} bodies wait for ever`)
    await sleep(INBOX_POLL_MS)
  }
}

/** What can be seen of a fleet while it still runs. */
async function gather(
  trial: Trial,
  stranger: Stranger,
  silent: SilentNode,
  offMs: number,
): Promise<Pick<Evidence, 'whole' | 'presence' | 'junk'>> {
  const present = await trial.untilPresent(offMs)
  const whole = await trial.untilWhole(WHOLE_WITHIN_MS)
  const silence = await silent.faults()
  return {
    whole,
    presence: { ...present, nodes: present.nodes + 1, wrong: [...present.wrong, ...silence] },
    junk: { sent: stranger.sent, mistaken: stranger.mistaken },
  }
}

/** What the witness saw and the agents counted. */
export function witnessed(
  trial: Trial,
  stranger: Stranger | undefined,
): Pick<Evidence, 'replies' | 'wrong' | 'suffered' | 'knockedOut' | 'ordinals' | 'junk'> {
  const { witness } = trial
  return {
    replies: witness.replies,
    wrong: { count: witness.wrongCount, examples: witness.wrong },
    suffered: trial.suffered(),
    knockedOut: { count: witness.knockedOutCount, examples: witness.knockedOut },
    ordinals: { nodes: witness.nodes, conflicts: witness.ordinalConflicts },
    junk: { sent: stranger?.sent ?? 0, mistaken: stranger?.mistaken ?? [] },
  }
}

/** One tick of the cron trigger. A miss, as while the process is down, is made up by the next one. */
export async function tick({ runtime }: Stage, atMs: number): Promise<void> {
  await runtime.tick(atMs).catch(() => undefined)
}
