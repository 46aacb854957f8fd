/**
 * What is counted, by who caused it: `<scope>|<metric>`. A scope is a request's route, the consumer, the cron trigger, one
 * method of an object, or `isolate` for what isolates do by themselves. Runs inside of the Worker.
 */

import { AsyncLocalStorage } from 'node:async_hooks'

export type Tally = Record<string, number>

const scopes = new AsyncLocalStorage<string>()
let tally: Tally = {}

export function inScope<T>(scope: string, run: () => T): T {
  return scopes.run(scope, run)
}

export function count(metric: string, by = 1, scope = scopes.getStore() ?? 'nobody'): void {
  const key = `${scope}|${metric}`
  tally[key] = (tally[key] ?? 0) + by
}

/** What was counted since this was last called. */
export function takeTally(): Tally {
  const taken = tally
  tally = {}
  return taken
}

/** When an object is at work: billed by time, however many calls overlap (Durable Objects pricing). */
const atWork = new Map<string, { calls: number; sinceMs: number }>()

export function beginWork(object: string): void {
  const work = atWork.get(object) ?? { calls: 0, sinceMs: 0 }
  if (work.calls === 0) work.sinceMs = Date.now()
  work.calls += 1
  atWork.set(object, work)
}

export function endWork(object: string): void {
  const work = atWork.get(object)
  if (work === undefined) return
  work.calls -= 1
  if (work.calls === 0) count('activeMs', Date.now() - work.sinceMs, `object ${object.split('/')[0]}`)
}
