/** What a run prints: what it ran on, what was broken, the table of invariants, and one last line for programs. */

import { cpus, totalmem } from 'node:os'
import type { Execution } from './execute.ts'
import { allHold, type Invariant } from './invariants.ts'
import type { Plan } from './plan.ts'

export interface ChaosReport {
  readonly chaos: string
  readonly isOk: boolean
  readonly invariants: readonly Invariant[]
  /** Everything that was measured, for `--json`. */
  readonly details: unknown
}

export function circumstances(args: readonly string[]): string {
  const [cpu] = cpus()
  const gib = Math.round(totalmem() / 1_024 ** 3)
  return [
    `command   npm run chaos -- ${args.join(' ')}`.trimEnd(),
    `machine   ${cpus().length} × ${cpu?.model ?? 'unknown'}, ${gib} GiB, ${process.platform}, Node ${process.versions.node}`,
    `time      ${new Date().toISOString().slice(0, 16)}Z`,
  ].join('\n')
}

export function invariantTable(invariants: readonly Invariant[]): string {
  const rows = invariants.map(({ detail, isOk, isTold, name }) => [
    name,
    isOk ? 'holds' : isTold ? '-' : 'BROKEN',
    `  ${detail}`,
  ])
  return leftAligned([['invariant', '', ''], ...rows])
}

/** How often each fault was met; what no call met is named, because it proves nothing. */
export function struckText(plan: Plan, { deploys, kills, struck }: Execution): string {
  const planned = [
    ...new Set(plan.spells.flatMap(({ fault }) => (fault ? [`${fault.target} ${fault.mode}`] : []))),
  ]
  const met = planned.filter((name) => struck.has(name))
  const shown = [...struck].map(([name, times]) => `${name} ${times}`).join(', ')
  const unmet = planned.filter((name) => !struck.has(name))
  return [
    `${kills} times SIGKILL, ${deploys} deploys; ${met.length} of ${planned.length} kinds of fault met calls: ${shown}`,
    ...(unmet.length === 0 ? [] : [`met by no call: ${unmet.join(', ')}`]),
  ].join('\n')
}

/** The last line: one JSON object, as the benchmarks print it. */
export function lastLine({ chaos, invariants, isOk }: ChaosReport): string {
  const goals = invariants
    .filter(({ isTold }) => !isTold)
    .map(({ detail, isOk: ok, name }) => ({ name, value: detail, unit: '', goal: 'holds', ok }))
  return JSON.stringify({ chaos, ok: isOk, goals })
}

export function reportOf(chaos: string, invariants: readonly Invariant[], details: unknown): ChaosReport {
  return { chaos, isOk: allHold(invariants), invariants, details }
}

function leftAligned(rows: readonly (readonly string[])[]): string {
  const widths = [0, 1].map((column) => Math.max(...rows.map((row) => (row[column] ?? '').length)))
  return rows
    .map((row) =>
      row
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join('  ')
        .trimEnd(),
    )
    .join('\n')
}
