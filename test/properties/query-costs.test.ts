import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { Counters } from '../../src/costs/counters.ts'
import { IntReader, IntWriter } from '../../src/costs/ints.ts'
import { nodeOfRow, rowOfNode } from '../../src/costs/node-row.ts'
import { emptyNode, takeReport, type NodeReport } from '../../src/costs/node-state.ts'
import { rowOfTallies, talliesOfRow } from '../../src/costs/tally-row.ts'
import { addDelta, addTally, emptyTally, type QueryTally } from '../../src/costs/tally.ts'
import { check } from './check.ts'

/** What an agent lived through between two reports: whether it began anew, and how often each query then ran. */
interface Episode {
  restarts: boolean
  runs: number
  cpuMs: number
}

const T = 1_800_000_000
const EVERY_S = 3_600

const episodes: fc.Arbitrary<Episode[]> = fc.array(
  fc.record({ restarts: fc.boolean(), runs: fc.nat({ max: 5 }), cpuMs: fc.integer({ min: 1, max: 4_000 }) }),
  { minLength: 1, maxLength: 12 },
)

/** The reports of such a life, and what truly ran. An agent that begins anew and runs nothing reports nothing new. */
function livesOf(life: readonly Episode[]): { reports: NodeReport[]; executions: number; cpuMs: number } {
  let total: Counters = { executions: 0, userMs: 0, systemMs: 0, wallMs: 0, outputBytes: 0, lastExecutedS: 0 }
  let executions = 0
  let cpuMs = 0
  const reports = life.map(({ restarts, runs, cpuMs: each }, index) => {
    const atS = T + index * EVERY_S
    if (restarts) total = { ...total, executions: 0, userMs: 0, systemMs: 0, wallMs: 0, outputBytes: 0 }
    total = {
      executions: total.executions + runs,
      userMs: total.userMs + runs * each,
      systemMs: total.systemMs,
      wallMs: total.wallMs + runs * each * 2,
      outputBytes: total.outputBytes + runs,
      lastExecutedS: runs > 0 ? atS - 1 : total.lastExecutedS,
    }
    executions += runs
    cpuMs += runs * each
    const query = { id: 1, intervalS: 600, counters: total, memoryBytes: 0, denylisted: false }
    return { unixTimeS: atS, receivedS: atS, isWhole: true, queries: [query] }
  })
  return { reports, executions, cpuMs }
}

/**
 * A start that overtakes the totals of before cannot be told from counting on: agents say no more. So lives are taken
 * whose counters show it.
 */
function showsItsStarts({ reports }: { reports: readonly NodeReport[] }, life: readonly Episode[]): boolean {
  return life.every(({ restarts }, index) => {
    const [before] = reports[index - 1]?.queries ?? []
    const [now] = reports[index]?.queries ?? []
    if (!restarts || before === undefined || now === undefined) return true
    return now.counters.executions <= before.counters.executions
  })
}

describe("differences of an agent's totals", () => {
  it('come to what ran, with restarts, and with reports that come again or too late', () =>
    check(
      fc.property(
        episodes.filter((life) => showsItsStarts(livesOf(life), life)),
        fc.array(fc.nat({ max: 11 }), { maxLength: 6 }),
        (life, again) => {
          const { reports, executions, cpuMs } = livesOf(life)
          let state = emptyNode()
          let counted = 0
          let countedCpuMs = 0
          for (const [index, report] of reports.entries()) {
            // Those of before, once more: of the same second, and older ones.
            const copies = again.filter((other) => other <= index).map((other) => reports[other] ?? report)
            for (const each of [report, ...copies]) {
              for (const { delta } of takeReport(state, each).deltas) {
                counted += delta.executions
                countedCpuMs += delta.userMs
              }
              const row = rowOfNode(state)
              state = nodeOfRow(row.atS, row.facts, row.counters)
            }
          }
          expect([counted, countedCpuMs]).toEqual([executions, cpuMs])
        },
      ),
      300,
    ))

  it('are never negative, whatever agents claim', () => {
    const total = fc.record({
      executions: fc.nat(),
      userMs: fc.nat(),
      systemMs: fc.nat(),
      wallMs: fc.nat(),
      outputBytes: fc.nat(),
      lastExecutedS: fc.nat(),
    })
    return check(
      fc.property(fc.array(total, { maxLength: 8 }), (totals) => {
        const state = emptyNode()
        for (const [index, counters] of totals.entries()) {
          const query = { id: 1, intervalS: 60, counters, memoryBytes: 0, denylisted: false }
          const atS = T + index
          const { deltas } = takeReport(state, {
            unixTimeS: atS,
            receivedS: atS,
            isWhole: true,
            queries: [query],
          })
          for (const { delta, spanS } of deltas)
            for (const value of [...Object.values(delta), spanS]) expect(value).toBeGreaterThanOrEqual(0)
        }
      }),
      300,
    )
  })
})

const delta = fc.record({
  ordinal: fc.nat({ max: 30 }),
  executions: fc.nat({ max: 20 }),
  userMs: fc.nat({ max: 100_000 }),
  systemMs: fc.nat({ max: 100_000 }),
  wallMs: fc.nat({ max: 100_000 }),
  outputBytes: fc.nat(),
  memoryBytes: fc.nat(),
  spanS: fc.nat({ max: 100_000 }),
})

function tallyOf(deltas: readonly (typeof delta extends fc.Arbitrary<infer D> ? D : never)[]): QueryTally {
  const tally = emptyTally()
  for (const { ordinal, memoryBytes, spanS, ...each } of deltas)
    addDelta(tally, ordinal, { delta: each, memoryBytes, spanS })
  return tally
}

describe('tallies', () => {
  it('add up to the same, however they are cut over objects and days', () =>
    check(
      fc.property(fc.array(delta, { maxLength: 30 }), fc.nat({ max: 30 }), (deltas, cut) => {
        const whole = tallyOf(deltas)
        const sum = tallyOf(deltas.slice(0, cut))
        addTally(sum, tallyOf(deltas.slice(cut)))
        expect({ ...sum, worst: sum.worst.map(({ cpuMs }) => cpuMs) }).toEqual({
          ...whole,
          worst: whole.worst.map(({ cpuMs }) => cpuMs),
        })
      }),
      300,
    ))

  it('are read back from a row as they were written', () =>
    check(
      fc.property(fc.array(fc.array(delta, { maxLength: 10 }), { maxLength: 5 }), (many) => {
        const tallies = new Map(many.map((deltas, index) => [index * 7, tallyOf(deltas)]))
        expect(talliesOfRow(rowOfTallies(tallies))).toEqual(tallies)
      }),
      100,
    ))

  it('are packed of numbers that come out as they went in', () =>
    check(
      fc.property(fc.array(fc.maxSafeNat()), (numbers) => {
        const reader = new IntReader(new IntWriter().add(...numbers).toBytes())
        expect(numbers.map(() => reader.next())).toEqual(numbers)
      }),
      300,
    ))
})
