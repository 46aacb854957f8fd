import { describe, expect, it } from 'vitest'
import { runsOn, scheduledQueriesOf } from '../../src/config/scheduled-queries.ts'

describe('the scheduled queries of a document', () => {
  it('have the name of their lines, and what says where they run', () => {
    const document = {
      schedule: { a: { query: 'SELECT 1', interval: '60', snapshot: true } },
      packs: {
        p: {
          platform: 'linux',
          shard: 50,
          queries: { b: { query: 'SELECT 2', platform: 'posix', shard: 10 } },
        },
        '*': { q: { queries: { c: { query: 'SELECT 3', interval: 7 } } } },
      },
    }
    expect(scheduledQueriesOf(document)).toMatchObject([
      { name: 'a', sql: 'SELECT 1', intervalS: 60, isSnapshot: true, platforms: [], share: 1 },
      { name: 'pack_p_b', sql: 'SELECT 2', intervalS: 3_600, platforms: ['linux', 'posix'], share: 0.1 },
      { name: 'pack_q_c', path: ['packs', '*', 'q', 'queries', 'c'], intervalS: 7 },
    ])
  })

  it.each([
    [[], 'windows', true],
    [['linux'], 'linux', true],
    [['ubuntu,centos'], 'linux', true],
    [['posix'], 'darwin', true],
    [['posix'], 'windows', false],
    [['darwin', 'any'], 'darwin', true],
    [['darwin', 'linux'], 'darwin', false],
    [['windows'], 'unknown', true],
  ] as const)('of %j on %s: %s', (platforms, family, runs) => {
    expect(runsOn({ platforms }, family)).toBe(runs)
  })
})
