/** Whether a line was erased by an operator. Pure. */

import type { ErasedLines } from './index/erased.ts'

/** Says of a node (null or empty: of none) and a time whether its lines are erased. */
export function erasedMatcher(
  erased: readonly ErasedLines[],
): (nodeId: string | null, receivedAtMs: number) => boolean {
  if (erased.length === 0) return () => false
  let allUntilMs = Number.NEGATIVE_INFINITY
  const untilMs = new Map<string, number>()
  for (const one of erased) {
    if (one.nodeId === null) allUntilMs = Math.max(allUntilMs, one.untilMs)
    else untilMs.set(one.nodeId, Math.max(one.untilMs, untilMs.get(one.nodeId) ?? 0))
  }
  return (nodeId, receivedAtMs) => receivedAtMs <= Math.max(allUntilMs, untilMs.get(nodeId ?? '') ?? 0)
}
