import { describe, expect, it } from 'vitest'
import {
  DEFAULT_LIMITS,
  FLOORS,
  readGates,
  verdictOf,
  type Gate,
  type GateLimits,
  type Measured,
} from '../../src/fleet/rollout-gates.ts'

const GOOD: Measured = {
  members: 50,
  online: 40,
  received: 40,
  denylisted: { nodes: 0, of: 40 },
  queryErrors: { members: { nodes: 0, of: 40 }, others: { nodes: 0, of: 4_000 } },
  checkInsLost: { members: { nodes: 1, of: 40 }, others: { nodes: 100, of: 4_000 } },
  cpu: { members: 100_000, usual: 90_000 },
  memory: { members: 100 * 2 ** 20, usual: 100 * 2 ** 20 },
  logVolume: { members: 150_000, usual: 100_000 },
}

function statusOf(gate: Gate, measured: Partial<Measured>, limits: Partial<GateLimits> = {}): string {
  const readings = readGates({ ...DEFAULT_LIMITS, ...limits }, { ...GOOD, ...measured })
  return readings.find((reading) => reading.gate === gate)?.status ?? 'nowhere'
}

function verdict(measured: Partial<Measured>, whenUnknown: 'hold' | 'pass' = 'hold'): string {
  return verdictOf(readGates(DEFAULT_LIMITS, { ...GOOD, ...measured }), whenUnknown)
}

describe('gates', () => {
  it('let through what is as usual', () => {
    expect(verdict({})).toBe('pass')
  })

  it.each<[Gate, Partial<Measured>]>([
    ['denylisted', { denylisted: { nodes: 1, of: 40 } }],
    ['queryErrors', { queryErrors: { members: { nodes: 3, of: 40 }, others: { nodes: 0, of: 4_000 } } }],
    ['checkInsLost', { checkInsLost: { members: { nodes: 4, of: 40 }, others: { nodes: 40, of: 4_000 } } }],
    ['cpu', { cpu: { members: 200_000, usual: 100_000 } }],
    ['memory', { memory: { members: 200 * 2 ** 20, usual: 100 * 2 ** 20 } }],
    ['logVolume', { logVolume: { members: 500_000, usual: 100_000 } }],
  ])('%s fails beyond its limit', (gate, measured) => {
    expect(statusOf(gate, measured)).toBe('fail')
    expect(statusOf(gate, measured, { [gate]: null })).toBe('off')
  })

  it('say that a document is still on its way', () => {
    expect(statusOf('documentReceived', { received: 35 })).toBe('hold')
    expect(statusOf('documentReceived', { received: 36 })).toBe('pass')
  })

  it('do not blame a version for what happens to the others, too', () => {
    const share = { members: { nodes: 20, of: 40 }, others: { nodes: 2_000, of: 4_000 } }
    expect(verdict({ queryErrors: share, checkInsLost: share })).toBe('pass')
  })

  it('take twice of almost nothing for nothing', () => {
    expect(statusOf('cpu', { cpu: { members: FLOORS.cpu, usual: 1 } })).toBe('pass')
    expect(statusOf('cpu', { cpu: { members: FLOORS.cpu + 1, usual: 1 } })).toBe('fail')
    expect(statusOf('logVolume', { logVolume: { members: FLOORS.logVolume * 2, usual: 0 } })).toBe('fail')
  })

  it.each<[Gate, Partial<Measured>]>([
    ['documentReceived', { online: 0, received: 0 }],
    ['denylisted', { denylisted: null }],
    ['denylisted', { denylisted: { nodes: 0, of: 0 } }],
    ['queryErrors', { queryErrors: null }],
    ['checkInsLost', { checkInsLost: null }],
    ['checkInsLost', { checkInsLost: { members: { nodes: 0, of: 0 }, others: { nodes: 0, of: 9 } } }],
    ['cpu', { cpu: null }],
    ['memory', { memory: null }],
    ['logVolume', { logVolume: null }],
  ])('%s without data is not known: it holds unless told to pass', (gate, measured) => {
    expect(statusOf(gate, measured)).toBe('unknown')
    expect(verdict(measured)).toBe('hold')
    expect(verdict(measured, 'pass')).toBe('pass')
  })

  it('wait for a document that has not come, rather than halt for it', () => {
    expect(verdict({ received: 0 })).toBe('hold')
    expect(verdict({ received: 0 }, 'pass')).toBe('hold')
    expect(verdict({ received: 0, denylisted: { nodes: 9, of: 9 } })).toBe('fail')
  })
})
