/** What `npm run config` says to people. A place is `file:line: /pointer: rule`, which editors can follow. */

import type { Remark } from '../../config/import/source.ts'
import type { Counted, Plan } from './shapes.ts'

/** Terminals may obey control characters; a configuration's names come from anywhere. */
export function plain(text: string): string {
  // oxlint-disable-next-line no-control-regex -- they are what is looked for
  return text.replaceAll(/[\u0000-\u001f\u007f-\u009f]/g, (character) =>
    JSON.stringify(character).slice(1, -1),
  )
}

export function remarkLine({ file, line, pointer, rule }: Remark, kind: 'error' | 'warning'): string {
  const at = line === null ? file : `${file}:${line}`
  return plain(`${at}: ${kind}: ${pointer === '' ? '' : `${pointer} `}${rule}`)
}

/** `created 2, updated 1, …` for each kind, and each thing that is not as it was. */
export function showCounts({ counts, items, intervals }: Counted, print: (line: string) => void): void {
  for (const { kind, pack, name, change } of items) {
    const whole = pack === null || pack === undefined ? name : `${pack} ${name}`
    print(plain(`${SIGNS[change]} ${kind} ${whole}`))
  }
  for (const [kind, tally] of Object.entries(counts)) {
    const { created, updated, unchanged, deleted } = tally
    if (created + updated + unchanged + deleted === 0) continue
    print(`${kind}: ${created} created, ${updated} updated, ${unchanged} unchanged, ${deleted} deleted`)
  }
  if (intervals !== null && intervals !== undefined) print(`intervals: ${intervals}`)
}

/** A plan, the numbers of nodes last. */
export function showPlan(plan: Plan, print: (line: string) => void): void {
  showCounts(plan, print)
  for (const { pointer, value } of plan.cleared)
    print(plain(`taken out: ${pointer}; agents get ${JSON.stringify(value)} instead, osquery's default`))
  for (const { pointer, reason } of plan.untilRestart)
    print(plain(`taken out: ${pointer}; lasts until restart: ${reason}`))
  for (const { name, nodes } of plan.layers) print(`layer ${name}: ${nodes} nodes now`)
  for (const { layers, nodes, nodesChanged, bytes } of plan.combinations) {
    const which = layers.length === 0 ? 'the base alone' : layers.join(' + ')
    print(`${which}: ${nodes} nodes, ${nodesChanged} get another document, of ${bytes} bytes`)
  }
  showEstimate(plan.estimate, print)
  const isSame = plan.result === 'unchanged'
  if (!isSame && plan.changes.length === 0)
    print('only the order or the spelling of names and values changes')
  print(isSame ? `unchanged: version ${plan.version} says the same` : `would follow version ${plan.version}`)
}

/** What all nodes together would do in a day. */
function showEstimate(estimate: Plan['estimate'], print: (line: string) => void): void {
  if (estimate === undefined || estimate === null) return print('costs cannot be read now: no estimate')
  if (estimate.queries.length === 0) return
  const daily = ({ nodes, cpuMs, lines }: FleetDay) =>
    `${nodes} nodes, ${cpuMs === null ? 'unknown' : seconds(cpuMs)} of CPU, ${lines ?? 'unknown'} lines`
  for (const { query, rating, before, after } of estimate.queries)
    print(plain(`a day of ${query}: ${daily(before)}; then ${daily(after)}; ${rating}`))
  const { before, after } = estimate
  const unknown = after.unknown === 0 ? '' : `; ${after.unknown} queries are not known yet`
  print(
    `a day of all: ${seconds(before.cpuMs)} of CPU, ${before.lines} lines; ` +
      `then ${seconds(after.cpuMs)}, ${after.lines} lines${unknown}`,
  )
}

type FleetDay = NonNullable<Plan['estimate']>['queries'][number]['before']

function seconds(ms: number): string {
  return `${Math.round(ms / 100) / 10} s`
}

const SIGNS = { created: '+', updated: '~', deleted: '-' } as const
