/** What every benchmark prints: what it ran on, tables, and one last line for programs. */

import { cpus, totalmem } from 'node:os'

export interface Goal {
  name: string
  value: number
  unit: string
  /** As text, e.g. `>= 0.6`. */
  goal: string
  ok: boolean
  /** Whether the exit code depends on it. Measured times never do: machines differ, and this one is shared. */
  decides: boolean
}

export interface BenchResult {
  bench: string
  goals: Goal[]
  /** Everything that was measured, for `--json`. */
  details: unknown
}

/** A goal of at least or at most so much. */
export function goal(
  name: string,
  value: number,
  unit: string,
  relation: '>=' | '<=',
  wanted: number,
  decides: boolean,
): Goal {
  const ok = relation === '>=' ? value >= wanted : value <= wanted
  return { name, value, unit, goal: `${relation} ${wanted}`, ok, decides }
}

/** Whether the goals hold that decide: what the exit code says. */
export function holds({ goals }: BenchResult): boolean {
  return goals.every(({ ok, decides }) => ok || !decides)
}

/** The last line: one JSON object. */
export function lastLine(result: BenchResult): string {
  const { bench, goals } = result
  const shown = goals.map(({ name, value, unit, goal: wanted, ok }) => ({
    name,
    value: rounded(value),
    unit,
    goal: wanted,
    ok,
  }))
  return JSON.stringify({ bench, ok: holds(result), goals: shown })
}

/** Rows as a table with aligned columns: the first to the left, numbers to the right. */
export function table(heads: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = heads.map((head, column) =>
    Math.max(head.length, ...rows.map((row) => (row[column] ?? '').length)),
  )
  const line = (cells: readonly string[]) =>
    cells
      .map((cell, column) =>
        column === 0 ? cell.padEnd(widths[column] ?? 0) : cell.padStart(widths[column] ?? 0),
      )
      .join('  ')
      .trimEnd()
  return [line(heads), line(widths.map((width) => '-'.repeat(width))), ...rows.map(line)].join('\n')
}

export function goalTable(goals: readonly Goal[]): string {
  return table(
    ['goal', 'value', 'wanted', '', ''],
    goals.map(({ name, value, unit, goal: wanted, ok, decides }) => [
      name,
      `${rounded(value)} ${unit}`.trim(),
      wanted,
      ok ? 'met' : 'MISSED',
      decides ? '' : 'told only',
    ]),
  )
}

/** What the figures were measured on, and how to get them again. */
export function circumstances(args: readonly string[]): string {
  const [cpu] = cpus()
  const gib = Math.round(totalmem() / 1_024 ** 3)
  return [
    `command   npm run bench -- ${args.join(' ')}`,
    `machine   ${cpus().length} × ${cpu?.model ?? 'unknown'}, ${gib} GiB, ${process.platform}, Node ${process.versions.node}`,
    `time      ${new Date().toISOString().slice(0, 16)}Z`,
  ].join('\n')
}

/** Three significant digits are all that these measurements have. */
export function rounded(value: number): number {
  return Math.abs(value) >= 100 ? Math.round(value) : Number(value.toPrecision(3))
}
