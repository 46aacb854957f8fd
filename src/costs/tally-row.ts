/** The tallies of one day and of 256 versions of queries, as one BLOB. Pure. */

import type { Bytes } from '../lib/bytes.ts'
import { ROW_FORMAT } from './constants.ts'
import { IntReader, IntWriter } from './ints.ts'
import { TALLY_METRICS, type QueryTally, type Spread, type TallyMetric } from './tally.ts'

/** Some 300 bytes each: far from the 2 MB of a row. */
export const TALLIES_PER_ROW = 256

export function rowOfTallies(tallies: ReadonlyMap<number, QueryTally>): Bytes {
  const row = new IntWriter().add(ROW_FORMAT, tallies.size)
  for (const [id, tally] of tallies) {
    row.add(id, tally.executions, tally.userMs, tally.systemMs, tally.wallMs, tally.outputBytes)
    row.add(tally.reports, tally.spanS, tally.errors)
    for (const metric of TALLY_METRICS) {
      const { max, buckets } = tally.spreads[metric]
      row.add(max, buckets.length)
      for (const { bucket, count } of buckets) row.add(bucket, count)
    }
    row.add(tally.worst.length)
    for (const { ordinal, cpuMs, executions } of tally.worst) row.add(ordinal, cpuMs, executions)
  }
  return row.toBytes()
}

/** Reads them; none where the format is not known. */
export function talliesOfRow(bytes: Uint8Array): Map<number, QueryTally> {
  const reader = new IntReader(bytes)
  if (reader.next() !== ROW_FORMAT) return new Map()
  return new Map(reader.list(() => [reader.next(), tallyOf(reader)] as const))
}

function tallyOf(reader: IntReader): QueryTally {
  const [executions, userMs, systemMs] = [reader.next(), reader.next(), reader.next()]
  const [wallMs, outputBytes, reports] = [reader.next(), reader.next(), reader.next()]
  const [spanS, errors] = [reader.next(), reader.next()]
  const spreads = Object.fromEntries(TALLY_METRICS.map((metric) => [metric, spreadOf(reader)]))
  return {
    executions,
    userMs,
    systemMs,
    wallMs,
    outputBytes,
    reports,
    spanS,
    errors,
    spreads: spreads as Record<TallyMetric, Spread>,
    worst: reader.list(() => ({ ordinal: reader.next(), cpuMs: reader.next(), executions: reader.next() })),
  }
}

function spreadOf(reader: IntReader): Spread {
  return {
    max: reader.next(),
    buckets: reader.list(() => ({ bucket: reader.next(), count: reader.next() })),
  }
}
