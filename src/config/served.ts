/**
 * The document that nodes of one combination of layers get: what operators wrote, then what the server does to it, in
 * one order for all who ask (compiling, checks, plans, a node's view). Pure.
 */

import type { FlagValue } from '../fleet/flagfile.ts'
import { keepFlagsApart } from './command-line-flags.ts'
import { clearHeld } from './held.ts'
import type { MergedDocument } from './merge.ts'

/** Stands for a layer where the server takes back what agents would keep. */
export const CLEARING = "osquery's default"

/** What the server knows beside what operators wrote. */
export interface Additions {
  /** Pointers of what these nodes may hold from before (config/held.ts), sorted. */
  held: readonly string[]
}

export interface ServedDocument {
  text: string
  /** The places that a layer, or the server itself, decided; everything else is the base's. */
  origins: { pointer: string; layer: string }[]
  /** What agents keep until they restart, and why. */
  lasting: { pointer: string; reason: string }[]
  /** Options that agents take from the command line only: left out of the text, for the flagfile. */
  flags: ReadonlyMap<string, FlagValue>
}

/** As it was written where there is nothing to add or to take out. The same input gives the same bytes (design R7). */
export function servedDocument(merged: MergedDocument, { held }: Additions): ServedDocument {
  const { text: cleared, cleared: places, lasting } = clearHeld(merged.text, held)
  const { text, flags } = keepFlagsApart(cleared)
  const origins = [...merged.origins, ...places.map(({ pointer }) => ({ pointer, layer: CLEARING }))]
  return { text, origins, lasting, flags }
}
