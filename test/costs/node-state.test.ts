import { describe, expect, it } from 'vitest'
import { NO_COUNTERS, type Counters } from '../../src/costs/counters.ts'
import { factsOfRow, nodeOfRow, rowOfNode } from '../../src/costs/node-row.ts'
import {
  emptyNode,
  gaugesOfLeaving,
  takeError,
  takeKilled,
  takeReport,
  type NodeReport,
  type NodeState,
} from '../../src/costs/node-state.ts'

const T = 1_800_000_000
const HOUR_S = 3_600

function counters(executions: number, lastExecutedS = T): Counters {
  return {
    executions,
    userMs: 10 * executions,
    systemMs: 5 * executions,
    wallMs: 20 * executions,
    outputBytes: 100 * executions,
    lastExecutedS,
  }
}

function report(
  atS: number,
  queries: readonly [id: number, Counters, denied?: boolean][],
  isWhole = true,
): NodeReport {
  return {
    unixTimeS: atS,
    receivedS: atS + 5,
    isWhole,
    queries: queries.map(([id, given, denylisted = false]) => ({
      id,
      intervalS: 600,
      counters: given,
      memoryBytes: 1_000 * id,
      denylisted,
    })),
  }
}

const executionsOf = (state: NodeState, given: NodeReport) =>
  takeReport(state, given).deltas.map(({ delta }) => delta.executions)

describe("a node's reports", () => {
  it('are totals: what counts is the difference to the report before', () => {
    const state = emptyNode()
    takeReport(state, report(T, [[1, counters(10)]]))
    expect(takeReport(state, report(T + HOUR_S, [[1, counters(16, T + HOUR_S)]]))).toEqual({
      deltas: [
        {
          id: 1,
          delta: { executions: 6, userMs: 60, systemMs: 30, wallMs: 120, outputBytes: 600 },
          memoryBytes: 1_000,
          spanS: HOUR_S,
        },
      ],
      gauges: [],
    })
  })

  it.each([
    ['fewer executions', counters(2, T + 60)],
    ['less time', { ...counters(10), userMs: 99 }],
    ['as many executions, and later ones', counters(10, T + 60)],
  ])('begin anew with a new start of the agent, told by %s', (_by, now) => {
    const state = emptyNode()
    takeReport(state, report(T, [[1, counters(10)]]))
    expect(executionsOf(state, report(T + HOUR_S, [[1, now]]))).toEqual([now.executions])
  })

  it('count once, whether the line or the message comes again', () => {
    const state = emptyNode()
    takeReport(state, report(T, [[1, counters(10)]]))
    expect(takeReport(state, report(T, [[1, counters(10)]]))).toEqual({ deltas: [], gauges: [] })
  })

  it('that come after a later one change nothing: they would look like a new start', () => {
    const state = emptyNode()
    takeReport(state, report(T, [[1, counters(10)]]))
    takeReport(state, report(T + 2 * HOUR_S, [[1, counters(22, T + 2 * HOUR_S)]]))
    expect(executionsOf(state, report(T + HOUR_S, [[1, counters(16)]]))).toEqual([])
    expect(executionsOf(state, report(T + 3 * HOUR_S, [[1, counters(28, T + 3 * HOUR_S)]]))).toEqual([6])
  })

  it('may have each query in a line of its own (logger_snapshot_event_type)', () => {
    const state = emptyNode()
    expect(executionsOf(state, report(T, [[1, counters(10)]], false))).toEqual([10])
    expect(executionsOf(state, report(T, [[2, counters(3)]], false))).toEqual([3])
    expect(state.points).toEqual([{ atS: T, cpuMs: 195, outputBytes: 1_300, memoryBytes: 2_000 }])
  })

  it('of a clock that is ahead are of now, so that it does not silence the node once it is right', () => {
    const state = emptyNode()
    takeReport(state, { ...report(T + 1_000_000, [[1, counters(10)]]), receivedS: T })
    expect(executionsOf(state, report(T + HOUR_S, [[1, counters(16, T + HOUR_S)]]))).toEqual([6])
  })

  it('say how many nodes schedule a query and have it on their denylist', () => {
    const state = emptyNode()
    const first = takeReport(
      state,
      report(T, [
        [1, counters(1)],
        [2, counters(1), true],
      ]),
    )
    expect(first.gauges).toEqual([
      { id: 1, nodes: 1, denied: 0 },
      { id: 2, nodes: 1, denied: 1 },
    ])
    const later = takeReport(
      state,
      report(T + HOUR_S, [
        [1, counters(2, T + 9), true],
        [2, counters(1)],
      ]),
    )
    expect(later.gauges).toEqual([
      { id: 1, nodes: 0, denied: 1 },
      { id: 2, nodes: 0, denied: -1 },
    ])
    expect(gaugesOfLeaving(state)).toEqual([
      { id: 1, nodes: -1, denied: -1 },
      { id: 2, nodes: -1, denied: 0 },
    ])
  })

  it('without a query say that it is scheduled no more; what it had counted is known when it comes back', () => {
    const state = emptyNode()
    takeReport(state, report(T, [[1, counters(10), true]]))
    expect(takeReport(state, report(T + HOUR_S, [])).gauges).toEqual([{ id: 1, nodes: -1, denied: -1 }])
    const back = takeReport(state, report(T + 2 * HOUR_S, [[1, counters(12, T + 2 * HOUR_S)]]))
    expect(back.deltas[0]?.delta.executions).toBe(2)
    expect(back.gauges).toEqual([{ id: 1, nodes: 1, denied: 0 }])
  })

  it('speak of the time since the one before; the very first one of as long as its executions took', () => {
    const state = emptyNode()
    expect(takeReport(state, report(T, [[1, counters(10)]])).deltas[0]?.spanS).toBe(6_000)
    const next = takeReport(
      state,
      report(T + HOUR_S, [
        [1, counters(12, T + 1)],
        [2, counters(1)],
      ]),
    )
    expect(next.deltas.map(({ spanS }) => spanS)).toEqual([HOUR_S, HOUR_S])
  })

  it('stay few: older ones get sparser, and the totals last', () => {
    const state = emptyNode()
    for (let i = 1; i <= 500; i += 1) takeReport(state, report(T + i * 60, [[1, counters(i, T + i * 60)]]))
    expect(state.points.length).toBeLessThanOrEqual(32)
    expect(state.points.at(-1)).toMatchObject({ cpuMs: 15 * 500, outputBytes: 100 * 500 })
  })
})

describe('an agent that was killed at a query', () => {
  it('has it on its denylist, long before a report says so; the next report knows better', () => {
    const state = emptyNode()
    takeReport(state, report(T, [[1, counters(1)]]))
    expect(takeKilled(state, [1], 9, T + 60, T + 60)).toEqual([{ id: 1, nodes: 0, denied: 1 }])
    expect(takeKilled(state, [1], 9, T + 60, T + 60)).toEqual([])
    expect(takeReport(state, report(T + HOUR_S, [[1, counters(1), true]])).gauges).toEqual([])
    expect(takeReport(state, report(T + 9 * HOUR_S, [[1, counters(2, T + 8 * HOUR_S)]])).gauges).toEqual([
      { id: 1, nodes: 0, denied: -1 },
    ])
    expect(takeKilled(state, [1], 9, T + 60, T + 60)).toEqual([])
  })

  it('may never have reported it: then the name stands for it, until a report comes', () => {
    const state = emptyNode()
    expect(takeKilled(state, [1], 9, T, T)).toEqual([{ id: 9, nodes: 1, denied: 1 }])
    expect(takeKilled(state, [1], 9, T, T)).toEqual([])
    expect(takeReport(state, report(T + HOUR_S, [[1, counters(0), true]])).gauges).toEqual([
      { id: 1, nodes: 1, denied: 1 },
      { id: 9, nodes: -1, denied: -1 },
    ])
  })

  it('is denied for a day where no report is whole', () => {
    const state = emptyNode()
    takeKilled(state, [], 9, T, T)
    expect(takeReport(state, report(T + HOUR_S, [[1, counters(1)]], false)).gauges).toEqual([
      { id: 1, nodes: 1, denied: 0 },
    ])
    expect(takeReport(state, report(T + 25 * HOUR_S, [[1, counters(2, T + 9)]], false)).gauges).toEqual([
      { id: 9, nodes: -1, denied: -1 },
    ])
  })
})

describe("a query's errors", () => {
  it('count once for each second: the same line may come again', () => {
    const state = emptyNode()
    expect([T, T, T + 60, T].map((atS) => takeError(state, 7, atS, atS))).toEqual([true, false, true, false])
    expect(state.errors.get(7)?.hours).toEqual([{ hour: T / HOUR_S, count: 2 }])
  })

  it('are forgotten after eight days without one', () => {
    const state = emptyNode()
    takeError(state, 7, T, T)
    takeError(state, 8, T + 9 * 86_400, T + 9 * 86_400)
    expect([...state.errors.keys()]).toEqual([8])
  })
})

describe("a node's row", () => {
  it('gives back what it was made of', () => {
    const state = emptyNode()
    takeReport(
      state,
      report(T, [
        [1, counters(10)],
        [300, { ...NO_COUNTERS, wallMs: 2 ** 52 }, true],
      ]),
    )
    takeReport(state, report(T + HOUR_S, [[1, counters(11, T + HOUR_S)]]))
    takeError(state, 9, T, T)
    const { atS, facts, counters: bytes } = rowOfNode(state)
    expect(nodeOfRow(atS, facts, bytes)).toEqual(state)
    expect(factsOfRow(facts)).toMatchObject({ denied: [], points: state.points })
  })

  it('of a format that is not known here is as if there were none', () => {
    const odd = Uint8Array.of(99, 1, 2, 3)
    expect(nodeOfRow(T, odd, odd)).toEqual({ ...emptyNode(), atS: T })
  })
})
