/** What the isolate was told to break, and what it broke so far. One isolate runs the Worker, another one the objects. */

import { setClock } from './clock.ts'
import { faultName, NO_CHAOS, type ChaosState, type Fault, type PlantedDefect } from './fault.ts'

/** An agent waits 16 s (spec 1.3), the Worker's own deadline is 8 s (design R10): from harmless to hopeless. */
const SLOW_MS = [300, 9_000] as const

let state: ChaosState = NO_CHAOS
let isConfigured = false
let struck: Record<string, number> = {}

/** The state that the runtime was started with, so that a restart leaves no gap without faults. */
export function configure(env: object): void {
  if (isConfigured) return
  isConfigured = true
  const initial: unknown = Reflect.get(env, 'CHAOS_STATE')
  if (initial !== undefined) apply(initial as ChaosState)
}

/** `POST /chaos/state` sets, `GET` tells what was struck since it was last asked; null: not for us. */
export async function control(request: Request): Promise<Response | null> {
  if (new URL(request.url).pathname !== '/chaos/state') return null
  if (request.method === 'POST') apply(await request.json<ChaosState>())
  const taken = struck
  struck = {}
  return Response.json(taken)
}

export function defects(): readonly PlantedDefect[] {
  return state.defects
}

/** A fault for this call, if there is one and it hits. */
export function faultFor(target: string, modes?: readonly string[]): Fault | null {
  for (const fault of state.faults) {
    if (fault.target !== target || (modes !== undefined && !modes.includes(fault.mode))) continue
    if (Math.random() >= fault.share) continue
    const name = faultName(fault)
    struck[name] = (struck[name] ?? 0) + 1
    return fault
  }
  return null
}

/** Makes a call that meets a fault: it fails, or is slow, or is done and its outcome lost. */
export async function meet<T>(fault: Fault, run: () => T | Promise<T>): Promise<T> {
  switch (fault.mode) {
    case 'slow':
      await scheduler.wait(SLOW_MS[0] + Math.random() * (SLOW_MS[1] - SLOW_MS[0]))
      return run()
    case 'lost':
      await run()
      throw failureOf(fault)
    default:
      throw failureOf(fault)
  }
}

function apply(next: ChaosState): void {
  state = next
  setClock(next.clockMs)
}

/** In the platform's own words, as far as they are known. */
function failureOf({ target, mode }: Fault): Error {
  if (mode === 'overloaded') {
    const error = new Error('Durable Object is overloaded. Too many requests queued.')
    return Object.assign(error, { overloaded: true, retryable: true, remote: true })
  }
  if (target === 'd1') {
    const why = mode === 'locked' ? 'database is locked: SQLITE_BUSY' : 'Network connection lost.'
    return new Error(`D1_ERROR: ${why}`)
  }
  if (target === 'r2') return new Error('We encountered an internal error. Please try again. (10001)')
  if (target === 'queue') return new Error('Queue send failed: Too Many Requests')
  return new Error(`chaos: ${target} ${mode}`)
}
