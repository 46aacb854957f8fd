/** What `npm run query` says to people about a query's progress. */

import type { Counts, ProgressLine } from './shapes.ts'

/** Counts of one line; those that are nothing are left out. */
export function countsLine({ targeted, answered, ...others }: Counts): string {
  const { failed, denylisted, notApplicable, expired, pending } = others
  const more = Object.entries({ failed, denylisted, 'not applicable': notApplicable, expired, pending })
    .filter(([, count]) => count > 0)
    .map(([name, count]) => `, ${count} ${name}`)
  return `${answered} of ${targeted} nodes answered${more.join('')}`
}

/** The same with what is missing of it. */
export function progressLine({ counts, missing }: ProgressLine): string {
  const part = missing === undefined ? '' : `; ${missing.shards.length} of ${missing.of} parts are away`
  return `${countsLine(counts)}${part}`
}

const UNITS: Record<string, string> = {
  wallMs: 'ms',
  userMs: 'ms user',
  systemMs: 'ms system',
  memoryBytes: 'bytes',
}

/** What it cost the nodes: median and p95; empty where no node said. */
export function costLine(cost: ProgressLine['cost']): string {
  const told = Object.entries(cost).flatMap(([name, metric]) =>
    metric === null ? [] : [`${metric.p50}/${metric.p95} ${UNITS[name] ?? name}`],
  )
  return told.length === 0 ? '' : `cost of a node (p50/p95): ${told.join(', ')}`
}
