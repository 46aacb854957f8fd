// What a scheduled query costs a simulated agent, as osquery_schedule shows it. The numbers are made of the agent's seed
// and the query's text; a comment in the text asks for others, so that a bad query can be rolled out on purpose:
// `/* simulated cpu_ms=9000 memory=500000000 */`.
import type { SeededChoice } from './rng.ts'

/** Totals since the agent started, and the last execution's. */
export interface QueryPerformance {
  readonly outputBytes: number
  readonly wallMs: number
  readonly lastWallMs: number
  readonly userMs: number
  readonly lastUserMs: number
  readonly systemMs: number
  readonly lastSystemMs: number
  readonly averageMemoryBytes: number
  readonly lastMemoryBytes: number
}

export const NO_PERFORMANCE: QueryPerformance = {
  outputBytes: 0,
  wallMs: 0,
  lastWallMs: 0,
  userMs: 0,
  lastUserMs: 0,
  systemMs: 0,
  lastSystemMs: 0,
  averageMemoryBytes: 0,
  lastMemoryBytes: 0,
}

/** CPU time of a harmless query is below this. */
const USUAL_CPU_MS = 40
const USUAL_MEMORY_BYTES = 400_000
const ASKED = /\/\* simulated ([^*]*)\*\//

/** The totals after one more execution. */
export function withExecution(
  before: QueryPerformance,
  sql: string,
  executions: number,
  outputBytes: number,
  choice: SeededChoice,
): QueryPerformance {
  const cpuMs = askedNumber(sql, 'cpu_ms') ?? 1 + choice.integer(`cpu-${sql}-${executions}`, USUAL_CPU_MS)
  const memory = askedNumber(sql, 'memory') ?? choice.integer(`memory-${sql}`, USUAL_MEMORY_BYTES)
  const systemMs = Math.floor(cpuMs / 3)
  const wallMs = Math.ceil(cpuMs * 1.2)
  return {
    outputBytes: before.outputBytes + outputBytes,
    wallMs: before.wallMs + wallMs,
    lastWallMs: wallMs,
    userMs: before.userMs + cpuMs - systemMs,
    lastUserMs: cpuMs - systemMs,
    systemMs: before.systemMs + systemMs,
    lastSystemMs: systemMs,
    averageMemoryBytes: memory,
    lastMemoryBytes: memory,
  }
}

function askedNumber(sql: string, name: string): number | undefined {
  const [, digits] = new RegExp(`\\b${name}=(\\d+)`).exec(askedIn(sql)) ?? []
  return digits === undefined ? undefined : Number(digits)
}

function askedIn(sql: string): string {
  return ASKED.exec(sql)?.[1] ?? ''
}
