/** Carries a plan out against a runtime, in real time. */

import { setTimeout as sleep } from 'node:timers/promises'
import type { Stranger } from './junk.ts'
import { changesOf, stateAt, type Blow, type Plan } from './plan.ts'
import type { Runtime } from './runtime.ts'
import type { PlantedDefect } from './worker/fault.ts'

export interface Execution {
  /** How often each fault was met, by name. Calls that a kill cut off are not in it. */
  readonly struck: ReadonlyMap<string, number>
  readonly kills: number
  readonly deploys: number
}

export interface ExecuteOptions {
  readonly plan: Plan
  readonly runtime: Runtime
  readonly defects: readonly PlantedDefect[]
  readonly stranger: Stranger | undefined
  readonly say: (text: string) => void
}

const TRIES = 5
const TRY_AGAIN_MS = 500

/** Resolves when everything has happened and all faults are off. Throws where the runtime cannot be had back. */
export async function execute(options: ExecuteOptions): Promise<Execution> {
  const { defects, plan, runtime, say } = options
  const startMs = Date.now()
  const nowMs = () => Date.now() - startMs
  const struck = new Map<string, number>()
  const junk = throwJunk(options, nowMs)

  const tell = async (atMs: number): Promise<void> => {
    const told = await insist(() => runtime.set({ ...stateAt(plan, atMs), defects }))
    for (const [name, times] of Object.entries(told)) struck.set(name, (struck.get(name) ?? 0) + times)
  }
  const strike = async ({ arrangement, downMs, name }: Blow): Promise<void> => {
    say(`${name}${downMs > 0 ? `, ${downMs} ms down` : ''}`)
    await tell(nowMs())
    if (downMs > 0) {
      runtime.kill()
      await sleep(downMs)
    }
    runtime.remember({ ...stateAt(plan, nowMs()), defects })
    await runtime.start(arrangement)
  }

  const steps = [
    ...changesOf(plan).map((atMs) => ({ atMs, run: () => tell(nowMs()) })),
    ...plan.blows.map((blow) => ({ atMs: blow.atMs, run: () => strike(blow) })),
  ].toSorted((a, b) => a.atMs - b.atMs)
  for (const { atMs, run } of steps) {
    await sleep(Math.max(0, atMs - nowMs()))
    await run()
  }
  await sleep(Math.max(0, plan.lastsMs - nowMs()))
  await tell(Number.POSITIVE_INFINITY)
  await junk
  const deploys = plan.blows.filter(({ downMs }) => downMs === 0).length
  return { struck, deploys, kills: plan.blows.length - deploys }
}

/** One piece after the other; a piece that takes long delays the next ones. */
async function throwJunk({ plan, stranger }: ExecuteOptions, nowMs: () => number): Promise<void> {
  if (stranger === undefined) return
  for (const { atMs, name } of plan.junk) {
    await sleep(Math.max(0, atMs - nowMs()))
    if (nowMs() > plan.lastsMs) return
    await stranger.send(name)
  }
}

async function insist<T>(act: () => Promise<T>): Promise<T> {
  for (let tries = 1; ; tries += 1) {
    try {
      return await act()
    } catch (error) {
      if (tries === TRIES) throw error
      await sleep(TRY_AGAIN_MS)
    }
  }
}
