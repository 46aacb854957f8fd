/** What the ledger owes to the server's promise: raw at least once, read exactly once (specification 4.5). */
import { describe, expect, test } from 'vitest'
import { LineLedger } from '../../../src/simulator/fleet/line-ledger.ts'
import type { LineKind, LogBatch } from '../../../src/simulator/log-buffer.ts'

const batch = (...texts: string[]): LogBatch => batchOf('result', texts)
const batchOf = (kind: LineKind, texts: readonly string[]): LogBatch => ({
  kind,
  lines: texts.map((text) => ({ kind, text })),
  oversized: [],
})

function acknowledged(...batches: LogBatch[]): LineLedger {
  const ledger = new LineLedger()
  for (const each of batches) {
    ledger.note('sent', each, 7)
    ledger.note('acknowledged', each, 7)
  }
  return ledger
}

describe('a line', () => {
  test('that was acknowledged is missing until it is seen', () => {
    const ledger = acknowledged(batch('a', 'b'))
    expect(ledger.see('result', 'a', 7)).toBe('expected')
    expect(ledger.tally()).toEqual({ distinct: 2, due: 2, missing: 1 })
    expect([...ledger.missingByMachine()]).toEqual([[7, 1]])
  })

  test('that was sent but not acknowledged may be there', () => {
    const ledger = new LineLedger()
    ledger.note('sent', batch('a'), 7)
    expect(ledger.tally()).toEqual({ distinct: 1, due: 0, missing: 0 })
    expect(ledger.see('result', 'a', 7)).toBe('expected')
  })

  test('that nobody sent is unexplained; so is one of another kind', () => {
    const ledger = acknowledged(batch('a'))
    expect(ledger.see('result', 'b', undefined)).toBe('unexplained')
    expect(ledger.see('status', 'a', undefined)).toBe('unexplained')
  })

  test('that is there twice is doubled, however often it was sent in different POSTs', () => {
    const ledger = acknowledged(batch('a'), batch('a', 'b'))
    expect(ledger.see('result', 'a', 7)).toBe('expected')
    expect(ledger.see('result', 'a', 7)).toBe('doubled')
  })

  test('that was twice in one POST is due twice', () => {
    const ledger = acknowledged(batch('a', 'a'))
    expect(ledger.tally().due).toBe(2)
    expect(ledger.see('result', 'a', 7)).toBe('expected')
    expect(ledger.tally().missing).toBe(1)
    expect(ledger.see('result', 'a', 7)).toBe('expected')
    expect(ledger.see('result', 'a', 7)).toBe('doubled')
  })

  test('under another node is wrong', () => {
    expect(acknowledged(batch('a')).see('result', 'a', 8)).toBe('wrong-node')
  })

  test('is known by its bytes as well', () => {
    expect(acknowledged(batch('é')).machineOf('result', Buffer.from('é'))).toBe(7)
  })
})

test('keeps all of many lines', () => {
  const ledger = new LineLedger()
  const texts = Array.from({ length: 100_000 }, (_, i) => `line ${i}`)
  for (let i = 0; i < texts.length; i += 1_000) {
    const some = batch(...texts.slice(i, i + 1_000))
    ledger.note('sent', some, i / 1_000)
    ledger.note('acknowledged', some, i / 1_000)
  }
  expect(ledger.tally()).toEqual({ distinct: 100_000, due: 100_000, missing: 100_000 })
  const sightings = new Set(texts.map((text, i) => ledger.see('result', text, Math.floor(i / 1_000))))
  expect([...sightings]).toEqual(['expected'])
  expect(ledger.tally().missing).toBe(0)
  ledger.unsee()
  expect(ledger.tally().missing).toBe(100_000)
})
