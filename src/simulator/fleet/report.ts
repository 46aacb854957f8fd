/** What a run comes to: as data for --json, and as text. */
import type { EndpointName } from '../endpoints.ts'
import type { Fleet } from './fleet.ts'
import type { Latencies } from './latencies.ts'
import type { Verification } from './verify.ts'

export interface RunFacts {
  readonly url: string
  readonly environment: string
  readonly profile: string
  readonly seed: string
  readonly nodes: number
  readonly keepAlive: boolean
  readonly elapsedMs: number
  /** Of this process. */
  readonly cpuMs: number
  readonly maxRssBytes: number
}

interface EndpointReport {
  readonly endpoint: EndpointName
  readonly requests: number
  readonly failed: number
  readonly p50Ms: number
  readonly p95Ms: number
  readonly p99Ms: number
  readonly maxMs: number
}

export interface RunReport extends RunFacts {
  readonly format: 1
  readonly requests: number
  readonly requestsPerSecond: number
  readonly enrolled: number
  readonly endpoints: readonly EndpointReport[]
  readonly lines: { produced: number; sent: number; acknowledged: number; dropped: number; purged: number }
  readonly queries: {
    opened: number
    answersAccepted: number
    /** From opening to acceptance, over all nodes and queries that the agents answered. */
    p50Ms: number
    p95Ms: number
    notOpened: readonly string[]
  }
  readonly carves: {
    asked: number
    packed: number
    handedIn: number
    failed: number
    notAsked: readonly string[]
  }
  /** Deletions of nodes and changes of the configuration that were refused. */
  readonly refused: readonly string[]
  /** What real agents would have suffered. */
  readonly suffered: Suffering
  /** What the fleet did to itself. */
  readonly staged: {
    crashesInQuery: number
    crashesInUpload: number
    naps: number
    travels: number
    linesPurged: number
    repliesLost: number
    blocksLost: number
    nodesDeleted: number
    configurations: number
  }
  readonly statuses: Readonly<Record<string, number>>
  readonly reasons: readonly (readonly [reason: string, times: number])[]
  readonly verification: Verification | undefined
}

export interface Suffering {
  readonly schedulesWiped: number
  readonly linesDropped: number
  readonly wedged: number
  readonly crashed: number
  readonly failuresTakenForSuccess: number
  readonly answersLost: number
  readonly readsBrokenOff: number
  readonly nodeInvalid: number
}

const MAX_REASONS = 12

export function sufferingOf({ statistics }: Pick<Fleet, 'statistics'>): Suffering {
  const { counters, wedged } = statistics
  return {
    schedulesWiped: counters.wipedSchedules,
    // A traveller with a small buffer throws lines away by itself.
    linesDropped: counters.lines.dropped + counters.lines.purged - statistics.purgedOnPurpose,
    wedged,
    crashed: counters.crashes,
    failuresTakenForSuccess: counters.falseSuccesses,
    answersLost: counters.queries.lost,
    readsBrokenOff: counters.brokenReads,
    nodeInvalid: counters.nodeInvalid,
  }
}

export function reportOf(facts: RunFacts, fleet: Fleet, verification: Verification | undefined): RunReport {
  const { answers, carves, configurations, deletions, liveCarves, liveQueries, statistics, transport } = fleet
  const { counters, latencies, reasons } = statistics
  const answered = answers.queries.map((query) => query.latencies)
  return {
    format: 1,
    ...facts,
    requests: statistics.requests,
    requestsPerSecond: round(statistics.requests / (facts.elapsedMs / 1_000)),
    enrolled: statistics.enrolled,
    endpoints: [...latencies].map(([endpoint, durations]) => ({
      endpoint,
      requests: durations.count,
      failed: counters.calls[endpoint].failed,
      p50Ms: round(durations.percentile(0.5)),
      p95Ms: round(durations.percentile(0.95)),
      p99Ms: round(durations.percentile(0.99)),
      maxMs: round(durations.maxMs),
    })),
    lines: { ...counters.lines },
    queries: {
      opened: answers.queries.length,
      answersAccepted: answered.reduce((sum, { count }) => sum + count, 0),
      p50Ms: medianOf(answered, 0.5),
      p95Ms: medianOf(answered, 0.95),
      notOpened: liveQueries?.failures ?? [],
    },
    carves: {
      asked: carves.asked.length,
      packed: carves.packed.size,
      handedIn: counters.carves.succeeded,
      failed: counters.carves.failed,
      notAsked: liveCarves?.failures ?? [],
    },
    refused: [...(deletions?.failures ?? []), ...(configurations?.failures ?? [])],
    suffered: sufferingOf(fleet),
    staged: {
      crashesInQuery: statistics.killed,
      crashesInUpload: statistics.killedInUpload,
      naps: statistics.naps,
      travels: statistics.travels,
      linesPurged: statistics.purgedOnPurpose,
      repliesLost: transport.lostReplies,
      blocksLost: transport.lostCalls,
      nodesDeleted: statistics.deleted,
      configurations: configurations?.count ?? 0,
    },
    statuses: { ...counters.statuses },
    reasons: [...reasons].toSorted(([, a], [, b]) => b - a).slice(0, MAX_REASONS),
    verification,
  }
}

/** True when nothing was lost and no agent suffered. */
export function isGood({ carves, queries, refused, suffered, verification }: RunReport): boolean {
  // node_invalid is not counted: an agent that a server does not know any more must be told.
  const { nodeInvalid: _, ...pains } = suffered
  const isPainless = Object.values(pains).every((times) => times === 0)
  const refusals = [...queries.notOpened, ...carves.notAsked, ...refused]
  const isVerified = verification?.verdicts.every(({ isOk }) => isOk) ?? true
  return isPainless && isVerified && refusals.length === 0
}

export function reportText(report: RunReport): string {
  const { carves, lines, queries, refused, staged, suffered } = report
  const { notAsked, ...carveFacts } = carves
  return [
    `${report.profile}, ${report.nodes} nodes, seed ${report.seed}: ${report.enrolled} enrolled, ` +
      `${report.requests} requests in ${round(report.elapsedMs / 1_000)} s (${report.requestsPerSecond}/s), ` +
      `${round(report.maxRssBytes / 2 ** 20)} MiB, ${round(report.cpuMs / report.elapsedMs)} cores of this process`,
    '',
    table(report.endpoints),
    '',
    `lines      ${facts({ ...lines })}`,
    `queries    opened ${queries.opened}, answers accepted ${queries.answersAccepted}, from opening to acceptance p50 ${queries.p50Ms} ms, p95 ${queries.p95Ms} ms`,
    `carves     ${facts(carveFacts)}`,
    `staged     ${facts({ ...staged })}`,
    `suffered   ${facts({ ...suffered })}`,
    `statuses   ${facts(report.statuses)}`,
    ...report.reasons.map(([reason, times]) => `failed     ${times} × ${reason}`),
    ...queries.notOpened.slice(0, MAX_REASONS).map((reason) => `not opened ${reason}`),
    ...notAsked.slice(0, MAX_REASONS).map((reason) => `not asked  ${reason}`),
    ...refused.slice(0, MAX_REASONS).map((reason) => `refused    ${reason}`),
    ...verdictLines(report.verification),
  ].join('\n')
}

function verdictLines(verification: Verification | undefined): string[] {
  if (!verification) return []
  const { examples, verdicts } = verification
  const width = Math.max(...verdicts.map(({ name }) => name.length))
  return [
    '',
    ...verdicts.map(
      ({ detail, isOk, name }) => `${isOk ? 'ok    ' : 'FAILED'}  ${name.padEnd(width)}  ${detail}`,
    ),
    ...examples.map((example) => `        ${example}`),
  ]
}

function table(rows: readonly EndpointReport[]): string {
  const heads = ['endpoint', 'requests', 'failed', 'p50Ms', 'p95Ms', 'p99Ms', 'maxMs'] as const
  const cells = [heads, ...rows.map((row) => heads.map((head) => String(row[head])))]
  const widths = heads.map((_, i) => Math.max(...cells.map((line) => (line[i] ?? '').length)))
  return cells
    .map((line) =>
      line
        .map((cell, i) => (i === 0 ? cell.padEnd(widths[i] ?? 0) : cell.padStart(widths[i] ?? 0)))
        .join('  '),
    )
    .join('\n')
}

function facts(values: Readonly<Record<string, number>>): string {
  return Object.entries(values)
    .map(([name, value]) => `${name} ${value}`)
    .join(', ')
}

// The queries are alike, so the median over them says as much as one histogram of all would.
function medianOf(all: readonly Latencies[], share: number): number {
  const values = all.filter(({ count }) => count > 0).map((one) => one.percentile(share))
  return round(values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0)
}

function round(value: number): number {
  return Math.round(value * 10) / 10
}
