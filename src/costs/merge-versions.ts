/** Puts together what several objects say of the same versions. Pure. */

import { addToBucket, type HistogramBucket } from '../fleet/query-cost.ts'
import type { VersionSummary } from './kinds.ts'
import { compare } from './query-index.ts'
import { addTally, emptyTally } from './tally.ts'

/** By name, then the version that most nodes have first. */
export function mergeVersions(parts: readonly VersionSummary[]): VersionSummary[] {
  const merged = new Map<string, VersionSummary>()
  for (const part of parts) {
    const key = `${part.hash} ${part.name}`
    const known = merged.get(key) ?? { ...part, nodes: 0, denied: 0, seenS: 0, tally: emptyTally() }
    known.nodes += part.nodes
    known.denied += part.denied
    known.seenS = Math.max(known.seenS, part.seenS)
    addTally(known.tally, part.tally)
    merged.set(key, known)
  }
  return [...merged.values()].sort(
    (a, b) => compare(a.name, b.name) || b.nodes - a.nodes || b.seenS - a.seenS || compare(a.hash, b.hash),
  )
}

/** One histogram of several. */
export function addToBuckets(parts: readonly (readonly HistogramBucket[])[]): HistogramBucket[] {
  const sum: HistogramBucket[] = []
  for (const { bucket, count } of parts.flat()) addToBucket(sum, bucket, count)
  return sum
}
