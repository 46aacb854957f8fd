/**
 * The document that nodes of one combination of layers get: what operators wrote, then what the server does to it, in
 * one order for all who ask (compiling, checks, plans, a node's view). Pure.
 */

import type { FlagValue } from '../fleet/flagfile.ts'
import type { ManagedOption, WholeIntervals } from '../fleet/intervals.ts'
import { pointerOf } from '../lib/json-pointer.ts'
import { NO_BUILT_IN, withBuiltIn, type BuiltInSettings } from './built-in.ts'
import { keepFlagsApart } from './command-line-flags.ts'
import { clearHeld } from './held.ts'
import { MANAGED_POINTERS, withIntervals } from './intervals.ts'
import type { MergedDocument } from './merge.ts'
import { withoutPaused } from './paused.ts'

/** Stands for a layer where the server takes back what agents would keep. */
export const CLEARING = "osquery's default"
/** The same where the server schedules something itself. */
export const BUILT_IN = 'built-in queries'
/** The same where the server says how often nodes come; each splay bucket gets a number of its own. */
export const INTERVALS = 'managed intervals'

/** What the server knows beside what operators wrote. */
export interface Additions {
  /** Pointers of what these nodes may hold from before (config/held.ts), sorted. */
  held: readonly string[]
  /** What the server schedules; absent: nothing. */
  builtIn?: BuiltInSettings
  /** Names, as in log lines, of queries that are left out; absent: none. */
  paused?: ReadonlySet<string>
  /** How often these nodes come, where their document does not say it; absent or null: the server does not. */
  intervals?: WholeIntervals | null
}

export interface ServedDocument {
  text: string
  /** The places that a layer, or the server itself, decided; everything else is the base's. */
  origins: { pointer: string; layer: string }[]
  /** What agents keep until they restart, and why. */
  lasting: { pointer: string; reason: string }[]
  /** Options that agents take from the command line only: left out of the text, for the flagfile. */
  flags: ReadonlyMap<string, FlagValue>
  /** Queries that are left out because they are paused. */
  paused: { name: string; pointer: string }[]
  /** Options whose base value the server put in: the edge varies it (fleet/interval-edits.ts). */
  managed: ManagedOption[]
}

/** As it was written where there is nothing to add or to take out. The same input gives the same bytes (design R7). */
export function servedDocument(merged: MergedDocument, additions: Additions): ServedDocument {
  const { held, builtIn = NO_BUILT_IN, paused: names = NO_NAMES, intervals = null } = additions
  // What is managed is said in any case, by the operators or by the server: there is nothing to take back.
  const isManaged = (pointer: string) => intervals !== null && MANAGED_POINTERS.includes(pointer)
  const taken = held.filter((pointer) => !isManaged(pointer))
  const { text: cleared, cleared: places, lasting } = clearHeld(merged.text, taken)
  const { text: document, flags } = keepFlagsApart(cleared)
  const { text: whole, pointers } = withBuiltIn(document, builtIn)
  const { text: running, paused } = withoutPaused(whole, names)
  const { text, managed } = withIntervals(running, intervals)
  const origins = [
    ...merged.origins,
    ...places.map(({ pointer }) => ({ pointer, layer: CLEARING })),
    ...pointers.map((pointer) => ({ pointer, layer: BUILT_IN })),
    ...managed.map((option) => ({ pointer: pointerOf(['options', option]), layer: INTERVALS })),
  ]
  const gone = new Set(paused.map(({ pointer }) => pointer))
  return {
    text,
    origins: lastOfEach(origins.filter(({ pointer }) => !gone.has(pointer))),
    lasting,
    flags,
    paused,
    managed,
  }
}

/** A place has one origin: where a layer took something away, what the server says there came later. */
function lastOfEach(origins: ServedDocument['origins']): ServedDocument['origins'] {
  const last = new Map(origins.map((origin) => [origin.pointer, origin]))
  return origins.filter((origin) => last.get(origin.pointer) === origin)
}

const NO_NAMES: ReadonlySet<string> = new Set()
