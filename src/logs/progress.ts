/**
 * What the counters of result lines tell (spec 4.2: `epoch`, `counter`): a query's lines of one epoch count 0, 1, 2 … on
 * each node - all rows of one run alike, event tables from 1. A number that is left out is lines that were lost between
 * the agent and us. Pure.
 */

/** One run's lines, as they were received. */
export interface Observation {
  epoch: number
  counter: number
  atMs: number
}

/** How far a query has come on a node. */
export interface Progress extends Observation {
  /** When the last full first set came (counter 0); null: none was seen. */
  fullSetMs: number | null
}

export type Finding =
  /** Counters that never came. */
  | { kind: 'gap'; epoch: number; from: number; to: number; afterMs: number | null; beforeMs: number }
  /** The agent began anew in another epoch: somebody raised `schedule_epoch`. */
  | { kind: 'epoch'; epoch: number; from: null; to: null; afterMs: number; beforeMs: number }
  /** It began anew in the same epoch: its database was lost. */
  | { kind: 'reset'; epoch: number; from: null; to: null; afterMs: number; beforeMs: number }
  /** Came after all: late objects are compacted late. */
  | { kind: 'found'; epoch: number; from: number; to: number; afterMs: null; beforeMs: number }

/** Takes observations up, oldest first; says how far the query is now and what was found. */
export function advance(
  known: Progress | null,
  observations: readonly Observation[],
): { progress: Progress | null; findings: Finding[] } {
  const findings: Finding[] = []
  let progress = known
  for (const seen of observations) {
    if (progress !== null && seen.atMs < progress.atMs) {
      findings.push({ ...at(seen), kind: 'found', from: seen.counter, to: seen.counter, afterMs: null })
      continue
    }
    if (progress !== null) findings.push(...judge(progress, seen))
    const fullSetMs = seen.counter === 0 ? seen.atMs : (progress?.fullSetMs ?? null)
    progress = { ...seen, fullSetMs }
  }
  return { progress, findings }
}

function judge(before: Progress, seen: Observation): Finding[] {
  const afterMs = before.atMs
  if (seen.epoch === before.epoch && seen.counter >= before.counter) {
    const from = before.counter + 1
    return seen.counter <= from ? [] : [{ ...at(seen), kind: 'gap', from, to: seen.counter - 1, afterMs }]
  }
  const kind = seen.epoch === before.epoch ? 'reset' : 'epoch'
  const findings: Finding[] = [{ ...at(seen), kind, from: null, to: null, afterMs }]
  // Whether there was a 0 depends on the table; a 1 there was in any case.
  if (seen.counter > 1) findings.push({ ...at(seen), kind: 'gap', from: 1, to: seen.counter - 1, afterMs })
  return findings
}

function at({ epoch, atMs }: Observation): { epoch: number; beforeMs: number } {
  return { epoch, beforeMs: atMs }
}
