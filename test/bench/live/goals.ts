/** What the live benchmark wants of its figures. Pure. */

import { goal, type Goal } from '../report.ts'
import { median, percentile } from '../stats.ts'
import type { ConcurrentResult } from './concurrent.ts'
import type { CrashResult } from './crash.ts'
import type { FloodResult } from './flood.ts'
import type { MillionResult } from './million.ts'
import type { WatchedResult } from './watched.ts'

export interface LiveResult {
  flood: FloodResult
  concurrent: ConcurrentResult
  watched: WatchedResult
  million: MillionResult
  crash: CrashResult
}

const MIB = 1_024 ** 2
/** What an isolate may have for everything (Cloudflare limits). */
const ISOLATE_MIB = 128

export function goalsOf({ flood, concurrent, watched, million, crash }: LiveResult): Goal[] {
  return [
    ...floodGoals(flood),
    ...concurrentGoals(concurrent),
    ...watchedGoals(watched),
    ...millionGoals(million),
    ...crashGoals(crash),
  ]
}

function floodGoals(flood: FloodResult): Goal[] {
  const { verdict, waiting, residentBytes } = flood
  return [
    nothing('answers that the query does not count, or counts twice', flood.miscounted),
    nothing('rows lost, doubled or of another node', verdict.lost + verdict.doubled + verdict.foreign),
    retries('the flood', flood.retries),
    nothing('D1 statements of reads, writes and shards', flood.d1PerAnswer, 'an answer'),
    goal('object calls, all of them', flood.objectCallsPerAnswer, 'an answer', '<=', 2.2, true),
    goal(
      'memory at most, against after a tenth of the answers',
      residentBytes.most / residentBytes.early,
      '×',
      '<=',
      1.5,
      false,
    ),
    nothing('binding calls of a poll of every node after the last answer', flood.idleCalls),
    nothing('the same of the 95 % that have answered a query of 7 days', waiting.othersCalls),
    nothing('nodes that were away and were forgotten', waiting.forgotten),
  ]
}

function concurrentGoals({
  errors,
  retries: again,
  miscounted,
  pickUpMs,
  intervalS,
}: ConcurrentResult): Goal[] {
  const beyondPollS = (samples: readonly number[]) =>
    Math.max(0, percentile(samples, 0.95) / 1_000 - intervalS)
  return [
    nothing('errors with 200 + 50 queries at once', errors),
    retries('these', again),
    nothing('answers of these missing or counted twice', miscounted),
    goal('p95 to pick-up beyond one poll, one node', beyondPollS(pickUpMs.single), 's', '<=', 1, false),
    goal('the same, fleet-wide', beyondPollS(pickUpMs.fleetWide), 's', '<=', 1, false),
  ]
}

function watchedGoals({ unanswered, tookMs, pollsPerNodeAndMinute }: WatchedResult): Goal[] {
  return [
    nothing('queries to accelerated nodes without an answer', unanswered),
    goal('polls of an accelerated node', pollsPerNodeAndMinute, 'a minute', '<=', 6.5, true),
    goal('answer of an accelerated node, median', median(tookMs) / 1_000, 's', '<=', 1, false),
    goal('the same, p95', percentile(tookMs, 0.95) / 1_000, 's', '<=', 6, false),
  ]
}

function millionGoals({ page, groups, csv, rows, retries: again }: MillionResult): Goal[] {
  const { quiet, same, other } = groups.writeMs
  const p95 = (samples: readonly number[]) => percentile(samples, 0.95)
  const grownMib = (csv.residentBytes.most - csv.residentBytes.before) / MIB
  return [
    goal(
      'rows that a first page reads, all rows against 1 %',
      page.all.rowsRead / page.few.rowsRead,
      '×',
      '<=',
      1.25,
      true,
    ),
    goal(
      'time of a first page, the same',
      median(page.all.tookMs) / median(page.few.tookMs),
      '×',
      '<=',
      1.5,
      false,
    ),
    nothing('wrong counts by a column', groups.miscounted),
    goal(
      'p95 of writes to shards that are read, against others',
      p95(same) / p95(other),
      '×',
      '<=',
      1.25,
      false,
    ),
    goal(
      'p95 of writes while rows are counted, against quiet',
      p95(same) / p95(quiet),
      '×',
      '<=',
      1.25,
      false,
    ),
    retries('reading very many rows', again),
    nothing('rows of the CSV file too many or too few', Math.abs(csv.lines - 1 - rows)),
    goal('memory that the CSV file needs', grownMib, 'MiB', '<=', ISOLATE_MIB / 2, false),
  ]
}

function crashGoals({ differences }: CrashResult): Goal[] {
  return Object.entries(differences).map(([who, count]) =>
    nothing(`rows after a SIGKILL that differ from what was sent, ${who}`, count),
  )
}

function nothing(name: string, value: number, unit = ''): Goal {
  return goal(name, value, unit, '<=', 0, true)
}

/** An agent is told to come back where a deadline was over: a matter of time, and it loses nothing. */
function retries(when: string, value: number): Goal {
  return goal(`replies to agents during ${when} that said to come back`, value, '', '<=', 0, false)
}
