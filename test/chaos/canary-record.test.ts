import { describe, expect, it } from 'vitest'
import type { Member } from '../../src/simulator/fleet/member.ts'
import { CanaryRecord } from './canary-record.ts'

const DEFAULTS = { schedule_splay_percent: '10' }
const STABLE = { schedule: { a: { query: 'SELECT 1', interval: 60 } } }
const POISONED = { schedule: { ...STABLE.schedule, poison: { query: 'SELECT 2', interval: 60 } } }

function recordOf(...lives: readonly (readonly [index: number, document: object, splay?: string])[]) {
  const record = new CanaryRecord({ poison: 'poison', defaults: DEFAULTS })
  for (const [index, document, splay = '10'] of lives)
    record.note({ plan: { index } } as Member, document as never, { schedule_splay_percent: splay })
  return record
}

describe('what agents were told', () => {
  it('is counted by agent, not by poll', () => {
    const record = recordOf([1, STABLE], [1, POISONED], [1, POISONED], [2, STABLE])
    expect([record.configured, record.poisoned, record.holding, record.disturbed]).toEqual([2, 1, 1, 0])
  })

  it('is held on to where an agent got rid of the query and not of an option', () => {
    const record = recordOf([1, POISONED, '3'], [1, STABLE, '3'])
    expect([record.poisoned, record.holding]).toEqual([1, 1])
    expect(recordOf([1, POISONED, '3'], [1, STABLE, '10']).holding).toBe(0)
  })

  it('disturbs who never had the query and saw its document change by a byte', () => {
    expect(recordOf([1, STABLE], [1, { ...STABLE, options: {} }]).disturbed).toBe(1)
    expect(recordOf([1, STABLE], [1, STABLE], [2, STABLE], [2, POISONED]).disturbed).toBe(0)
  })
})
