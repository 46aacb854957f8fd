import { describe, expect, it } from 'vitest'
import { totalCost } from '../../src/fleet/prices.ts'
import * as model from '../../src/fleet/cost-model.ts'

const INTERVALS = { distributedS: 60, configS: 300, logS: 300 }
const FLEET: model.Fleet = {
  nodes: 1_000,
  isolates: 1,
  intervals: INTERVALS,
  lineBytesPerDay: 1e6,
  port: 'queue',
}
const POST: model.PostUnits = { lineBytes: 3_500, port: 'queue', queueOperations: 1, r2ClassA: 0 }
const NOTHING: model.CompactionShare = {
  workerRequests: 0,
  queueOperations: 0,
  objectRequests: 0,
  rowsRead: 0,
  rowsWritten: 0,
  r2ClassA: 0,
  r2ClassB: 0,
}
const UNITS: model.Units = {
  cpuMs: { read: 1, config: 1, log: { queue: 1, inbox: 1 }, consumerPerMessage: 0 },
  posts: [POST, { ...POST, lineBytes: 350_000, queueOperations: 2 }],
  storedShare: 0,
  consumerShare: 2,
  consumer: {
    objectRequestsPerBatch: 0,
    rowsWrittenPerBatch: 0,
    rowsReadPerBatch: 0,
    r2ClassAPerBatch: 0,
    d1RowsReadPerMessage: 0,
    r2ClassBPerMessage: { queue: 0, inbox: 1 },
  },
  compaction: { wake: NOTHING, object: NOTHING, step: NOTHING, cpuMsPerMb: 0 },
  head: { rowsRead: 0, activeMs: 0 },
  flush: { activeMs: 0 },
  background: {
    workerRequestsPerMinute: 0,
    r2ClassAPerMinute: 0,
    objectRequestsPerFiveMinutes: 0,
    rowsWrittenPerFiveMinutes: 0,
    r2ClassAPerFiveMinutes: 0,
  },
}

describe('what isolates do by themselves', () => {
  it('a busy isolate asks for the head each T and flushes each 15 s; an idle one at each request', () => {
    expect(model.headsPerSecond(1_000)).toBeCloseTo(0.5, 2)
    expect(model.headsPerSecond(0.001)).toBeCloseTo(0.001, 5)
    expect(model.flushesPerSecond(1_000)).toBeCloseTo(1 / 15, 4)
    expect(model.flushesPerSecond(0.0001)).toBeCloseTo(0.0001, 6)
    expect(model.flushesPerSecond(0)).toBe(0)
  })

  it('more isolates for the same traffic ask more', () => {
    const asked = [1, 100, 1_000].map((isolates) => model.isolateCalls({ ...FLEET, isolates }).heads)
    expect(asked[0]).toBeLessThan(asked[1] ?? 0)
    expect(asked[1]).toBeLessThan(asked[2] ?? 0)
    expect(asked[2]).toBeLessThan(model.requestsPerSecond(FLEET))
  })
})

describe('batches of the consumer', () => {
  it('are full where messages come fast, and wait their time out where they do not', () => {
    expect(model.batchesPerSecond(3_333)).toBeCloseTo(33.3, 1)
    expect(model.batchesPerSecond(1)).toBeCloseTo(1 / 6)
    expect(model.batchesPerSecond(0)).toBe(0)
  })
})

describe('a month', () => {
  it('without anything but requests and messages is the cost model of the design: 31 dollars', () => {
    expect(totalCost(model.usageOf(FLEET, UNITS))).toBeGreaterThan(30)
    expect(totalCost(model.usageOf(FLEET, UNITS))).toBeLessThan(31.5)
  })

  it('uses the POST size that is nearest', () => {
    const large = { ...FLEET, lineBytesPerDay: 1e8 }
    expect(model.lineBytesPerPost(large)).toBeCloseTo(347_222, 0)
    expect(model.postUnits(large, UNITS).queueOperations).toBe(2)
    expect(model.postUnits(FLEET, UNITS).queueOperations).toBe(1)
  })

  it('grows with the fleet and shrinks with longer intervals', () => {
    const usage = model.usageOf(FLEET, UNITS)
    expect(model.usageOf({ ...FLEET, nodes: 2_000 }, UNITS).workerRequests).toBeGreaterThan(
      usage.workerRequests * 1.9,
    )
    const slow = { distributedS: 300, configS: 900, logS: 600 }
    expect(model.usageOf({ ...FLEET, intervals: slow }, UNITS).workerRequests).toBeLessThan(
      usage.workerRequests / 3,
    )
  })
})

describe('the first answer', () => {
  it('of one node comes as its poll does, of many nearly at once', () => {
    expect(model.firstWaitS(60, 1)).toEqual(model.waitS(60))
    expect(model.firstWaitS(60, 1_000).p95).toBeLessThan(0.2)
  })
})

describe('compaction', () => {
  it('costs what each object and each step does, and its wake-ups', () => {
    const small = { ...FLEET, nodes: 100 }
    const rows = { ...NOTHING, rowsWritten: 1 }
    const consumer = { ...UNITS.consumer, r2ClassAPerBatch: 2 }
    const rowsWith = (part: Partial<model.Units['compaction']>) => {
      const units = { ...UNITS, consumer, compaction: { ...UNITS.compaction, ...part } }
      return model.usageOf(small, units).objectRowsWritten
    }
    const objectsAMonth = model.objectsPerSecond(small, { consumer }) * 30 * 86_400
    expect(rowsWith({ object: rows }) - rowsWith({})).toBeCloseTo(objectsAMonth)
    expect(rowsWith({ wake: rows }) - rowsWith({})).toBeCloseTo(4 * 24 * 30)
    // A small fleet's hour is one step.
    expect(rowsWith({ step: rows }) - rowsWith({})).toBeCloseTo(24 * 30)
  })
})
