/**
 * Proves the verifier: every planted defect against a small fleet of its own, all at the same time on one runtime, and
 * beside them one fleet without any, which must be found in order. The same faults for all.
 */

import { setTimeout as sleep } from 'node:timers/promises'
import { allHold, isCaught, judgeEvidence, type Invariant } from './invariants.ts'
import type { ChaosOptions } from './options.ts'
import { reportOf, type ChaosReport } from './report.ts'
import { say } from './say.ts'
import { tick, witnessed } from './scenarios.ts'
import { setStage, type Stage } from './stage.ts'
import { Trial } from './trial.ts'
import { NO_CHAOS, SABOTAGES, type Fault, type Sabotage } from './worker/fault.ts'

const NODES = 8
const TEMPO = 30
const QUERY_EVERY_MS = 4_000
const ENROLL_WITHIN_MS = 45_000
const CALM_MS = 2_000
/** Long enough for every agent to send lines and to be refused. */
const OUTAGE_MS = 5_000
const DRAIN_WITHIN_MS = 30_000
const VERIFY_PATIENCE_MS = 15_000
const TICK_EVERY_MS = 3_000
const AHEAD_MS = 60_000

/** What fails for everybody: what lines are kept in, and what enrolls. */
const OUTAGES: readonly (readonly Fault[])[] = [
  [{ target: 'r2', mode: 'fail', share: 0.8 }],
  [
    { target: 'd1', mode: 'fail', share: 1 },
    { target: 'object:AnswerShard', mode: 'throw', share: 0.8 },
    { target: 'consumer', mode: 'fail', share: 0.5 },
  ],
]

interface Subject {
  readonly sabotage: Sabotage | undefined
  readonly trial: Trial
}

export async function prove(options: ChaosOptions, folder: string): Promise<ChaosReport> {
  const start = { front: 'new', objects: 'new' } as const
  const kinds = [undefined, ...SABOTAGES]
  const stage = await setStage({
    folder,
    ports: kinds.length,
    start,
    hasPrevious: false,
    previous: undefined,
  })
  try {
    const subjects = await startAll(stage, kinds, options.seed)
    say(`${subjects.length} fleets of ${NODES} agents enroll`)
    await Promise.all(subjects.map(({ trial }) => trial.untilWhole(ENROLL_WITHIN_MS)))
    const ticking = setInterval(() => void tick(stage, Date.now() + AHEAD_MS), TICK_EVERY_MS)
    await breakThings(stage, subjects)
    say('everything is in order again; the fleets drain')
    const whole = await Promise.all(subjects.map(({ trial }) => trial.untilWhole(DRAIN_WITHIN_MS)))
    await Promise.all(subjects.map(({ trial }) => trial.stop()))
    say('everything is read back')
    const found = await Promise.all(subjects.map(({ trial }, at) => judged(trial, whole[at])))
    clearInterval(ticking)
    const rows = subjects.map(({ sabotage }, at) => rowOf(sabotage, found[at] ?? []))
    return reportOf(
      'prove',
      rows,
      Object.fromEntries(subjects.map(({ sabotage }, at) => [sabotage ?? 'none', found[at]])),
    )
  } finally {
    await stage.close()
  }
}

async function startAll(
  stage: Stage,
  kinds: readonly (Sabotage | undefined)[],
  seed: string,
): Promise<Subject[]> {
  const { client, keys, runtime, witnesses } = stage
  const subjects: Subject[] = []
  for (const [at, sabotage] of kinds.entries()) {
    const name = sabotage ?? 'none'
    const url = runtime.urls[at] ?? ''
    const settings = {
      name,
      url,
      client,
      keys,
      nodes: NODES,
      seed: `${seed}/${name}`,
      tempo: TEMPO,
      queryEveryMs: QUERY_EVERY_MS,
    }
    subjects.push({ sabotage, trial: await Trial.start(settings, witnesses) })
    await runtime.set({ ...NO_CHAOS, defects: defectsOf(stage, subjects) })
  }
  return subjects
}

function defectsOf({ runtime }: Stage, subjects: readonly Subject[]) {
  return subjects.flatMap(({ sabotage, trial }, at) =>
    sabotage === undefined
      ? []
      : [{ sabotage, port: runtime.ports[at] ?? 0, environmentId: trial.environment.id }],
  )
}

async function breakThings(stage: Stage, subjects: readonly Subject[]): Promise<void> {
  const defects = defectsOf(stage, subjects)
  await sleep(CALM_MS)
  for (const faults of OUTAGES) {
    say(faults.map(({ mode, share, target }) => `${target} ${mode} ${share * 100} %`).join(', '))
    await stage.runtime.set({ clockMs: 0, faults, defects })
    await sleep(OUTAGE_MS)
  }
  await stage.runtime.set({ ...NO_CHAOS, defects })
}

async function judged(
  trial: Trial,
  whole: Awaited<ReturnType<Trial['untilWhole']>> | undefined,
): Promise<Invariant[]> {
  const verification = await trial.verify(VERIFY_PATIENCE_MS)
  return judgeEvidence({
    ...witnessed(trial, undefined),
    verdicts: verification.verdicts,
    examples: verification.examples,
    whole: whole ?? { members: 0, missing: 1, tookMs: 0 },
    // Not broken here, and not looked at: the faults of a real run are for that.
    carves: { acknowledged: 0, missing: [] },
    presence: { nodes: 0, wrong: [], tookMs: 0 },
    memory: null,
  })
}

/** A defect is caught where the row that is about it failed; without one nothing may fail. */
function rowOf(sabotage: Sabotage | undefined, found: readonly Invariant[]): Invariant {
  const failed = found.filter(({ isOk, isTold }) => !isOk && !isTold)
  const detail =
    failed.map(({ detail: why, name }) => `${name} (${why})`).join('; ') || 'every invariant holds'
  return sabotage === undefined
    ? { name: 'without a defect', isOk: allHold(found), detail, isTold: false }
    : { name: `caught: ${sabotage}`, isOk: isCaught(sabotage, found), detail, isTold: false }
}
