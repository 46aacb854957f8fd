import { describe, expect, it } from 'vitest'
import { missingFrom, RowLedger, rowsOfNode } from './rows.ts'

const NODES = [
  { nodeId: 'a', ordinal: 0 },
  { nodeId: 'b', ordinal: 1 },
]

describe('the ledger of rows', () => {
  function ledgerOf(...noted: [nodeId: string, host: string, k: string][]) {
    const ledger = new RowLedger(NODES, 2)
    for (const [nodeId, host, k] of noted) ledger.note(nodeId, { host, k })
    return ledger.verdict()
  }

  it('finds nothing wrong where every row of every node came once', () => {
    const ledger = new RowLedger(NODES, 2)
    for (const { nodeId, ordinal } of NODES)
      for (const row of rowsOfNode(ordinal, 2)) ledger.note(nodeId, row)
    expect(ledger.verdict()).toEqual({ rows: 4, lost: 0, doubled: 0, foreign: 0 })
  })

  it('counts what is lost, and what came twice', () => {
    expect(ledgerOf(['a', '0', '0'], ['a', '0', '0'], ['b', '1', '1'])).toEqual({
      rows: 3,
      lost: 2,
      doubled: 1,
      foreign: 0,
    })
  })

  it.each([
    ['of a node that nobody knows', ['c', '0', '0']],
    ["under another node's id", ['b', '0', '0']],
    ['that no node sent', ['a', '0', '2']],
  ] as const)('a row %s is foreign', (_what, [nodeId, host, k]) => {
    expect(ledgerOf([nodeId, host, k])).toMatchObject({ lost: 4, foreign: 1 })
  })
})

describe('what is missing from a list', () => {
  it.each([
    [['x', 'y'], ['y', 'x'], 0],
    [['x', 'x'], ['x'], 1],
    [['x'], ['x', 'x'], 0],
    [['x', 'y'], [], 2],
  ])('of %j in %j are %i', (wanted, there, missing) => {
    expect(missingFrom(wanted, there)).toBe(missing)
  })
})
