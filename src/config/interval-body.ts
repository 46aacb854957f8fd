/** Intervals as operators write them, in a request or in `intervals.yaml`: what they mean, or what is wrong with them. Pure. */

import {
  isIntervalSeconds,
  isManagedOption,
  LONGEST_INTERVAL_S,
  MANAGED_OPTIONS,
  SHORTEST_INTERVAL_S,
  type IntervalSettings,
  type WholeIntervals,
} from '../fleet/intervals.ts'
import { pointerOf } from '../lib/json-pointer.ts'
import { fail, ok, type Result } from '../lib/result.ts'
import { NOT_MANAGED, type ManagedIntervals } from './intervals.ts'
import type { Finding } from './report.ts'
import { isObject, type JsonObject } from '../lib/json-value.ts'

/** All three options or none, and some of them for layers, which must be there. An empty object: nothing is managed. */
export function readIntervalBody(
  value: unknown,
  layerNames: readonly string[],
): Result<ManagedIntervals, Finding[]> {
  if (!isObject(value)) return fail([{ pointer: '', detail: 'must be an object' }])
  const { layers: written = {}, ...base } = value
  const faults = faultsOfSettings(base, [])
  const missing = MANAGED_OPTIONS.filter((option) => base[option] === undefined)
  const isNone = missing.length === MANAGED_OPTIONS.length
  if (!isNone)
    for (const option of missing)
      faults.push({ pointer: `/${option}`, detail: 'is missing: all three or none' })
  if (!isObject(written)) return fail([...faults, { pointer: '/layers', detail: 'must be an object' }])
  if (isNone && Object.keys(written).length > 0)
    faults.push({ pointer: '/layers', detail: 'are over the intervals of the environment: say those, too' })
  const layers: Record<string, IntervalSettings> = {}
  for (const [name, settings] of Object.entries(written)) {
    const at = ['layers', name]
    if (!layerNames.includes(name)) faults.push({ pointer: pointerOf(at), detail: 'there is no such layer' })
    if (!isObject(settings)) faults.push({ pointer: pointerOf(at), detail: 'must be an object' })
    else {
      faults.push(...faultsOfSettings(settings, at))
      layers[name] = saidOf(settings)
    }
  }
  if (faults.length > 0) return fail(faults)
  return ok(isNone ? NOT_MANAGED : { base: saidOf(base) as WholeIntervals, layers })
}

function faultsOfSettings(settings: JsonObject, at: readonly string[]): Finding[] {
  return Object.entries(settings).flatMap(([name, value]) => {
    const pointer = pointerOf([...at, name])
    if (!isManagedOption(name)) return [{ pointer, detail: `is none of ${MANAGED_OPTIONS.join(', ')}` }]
    if (value === undefined || isIntervalSeconds(value)) return []
    return [{ pointer, detail: `must be whole seconds from ${SHORTEST_INTERVAL_S} to ${LONGEST_INTERVAL_S}` }]
  })
}

/** In one order, whatever the order they were written in. */
function saidOf(settings: JsonObject): IntervalSettings {
  const said = MANAGED_OPTIONS.filter((option) => settings[option] !== undefined)
  return Object.fromEntries(said.map((option) => [option, settings[option]]))
}
