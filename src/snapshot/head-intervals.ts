/** What the edge does to documents so that each splay bucket comes at intervals of its own. */

import { intervalPlaces } from '../config/intervals.ts'
import {
  intervalEdits,
  type IntervalEdit,
  type IntervalPlaces,
  type IntervalStretch,
} from '../fleet/interval-edits.ts'
import type { EnvironmentStore } from './environment-store.ts'
import { documentPartsOf, type Configurations } from './head.ts'
import type { SnapshotFacts } from './safety.ts'

export type HeadIntervals = Readonly<Record<string, readonly IntervalEdit[]>>

/** By the part of a document; undefined where there is nothing to do. */
export function headIntervals(
  head: Configurations,
  facts: SnapshotFacts,
  store: EnvironmentStore,
  stretch: IntervalStretch,
): HeadIntervals | undefined {
  const known = facts.intervalPlaces
  // Compiled by a Worker of before: nothing is managed, so that only a brownout has something to do.
  if (known === undefined && stretch.factor === 1 && !stretch.everOn) return undefined
  const all = [...new Set(documentPartsOf(head))].flatMap((part) => {
    const places = known === undefined ? placesIn(store, part) : known[part]
    const edits = places === undefined ? [] : intervalEdits(places, stretch)
    return edits.length === 0 ? [] : [[part, edits] as const]
  })
  return all.length === 0 ? undefined : Object.fromEntries(all)
}

function placesIn(store: EnvironmentStore, part: string): IntervalPlaces | undefined {
  const bytes = store.part(part)
  return bytes === null ? undefined : (intervalPlaces(bytes, []) ?? undefined)
}
