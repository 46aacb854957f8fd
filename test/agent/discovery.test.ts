/** Preconditions of distributed queries (spec 5.2), against what agents of each age make of them. */

import { describe, expect, it } from 'vitest'
import { ALWAYS, discoveryMembers, readAnswerId } from '../../src/agent/discovery.ts'
import { SimulatedAgent } from '../../src/simulator/agent.ts'
import { dialectOf } from '../../src/simulator/dialect.ts'
import { acceptWork } from '../../src/simulator/distributed.ts'

const agent = new SimulatedAgent({
  url: 'http://127.0.0.1:1',
  enrollSecret: '',
  platform: 'linux',
  seed: '1',
})
const LINUX = "SELECT 1 FROM os_version WHERE platform <> 'windows'"
const WINDOWS = "SELECT 1 FROM os_version WHERE platform = 'windows'"

/** The ids that an agent of this version runs. */
function runs(discovery: string | null, version: string): string[] {
  const members = discoveryMembers('oeq1-x', { sql: 'SELECT 2', discovery })
  const reply = { queries: members.queries, discovery: { ...members.discovery, _always: ALWAYS } }
  const work = acceptWork(reply, (sql) => agent.runSql(sql), dialectOf(version))
  expect(work.problem).toBeUndefined()
  return [...work.queries.keys()]
}

describe('a query with a precondition', () => {
  describe.each(['2.11.2', '4.9.0', '5.7.0', '5.8.2', '5.23.1'])('on osquery %s', (version) => {
    it.each([
      ['runs where it holds', LINUX, ['oeq1-x']],
      ['is told not to apply where it does not', WINDOWS, ['oeq1-x~no']],
      ['may end with a semicolon', `${WINDOWS} ;\n`, ['oeq1-x~no']],
      ['may end with a comment', `${WINDOWS} -- only there`, ['oeq1-x~no']],
      ['may be two statements, then only without being told', `${LINUX}; SELECT 1`, ['oeq1-x']],
      ['runs everywhere without one', null, ['oeq1-x']],
    ] as const)('%s', (_name, discovery, expected) => {
      expect(runs(discovery, version)).toEqual(expected)
    })
  })
})

it.each([
  ['oeq1-x', { id: 'oeq1-x', notApplicable: false }],
  ['oeq1-x~no', { id: 'oeq1-x', notApplicable: true }],
  ['~no', { id: '', notApplicable: true }],
])('reads the id %s', (id, expected) => {
  expect(readAnswerId(id)).toEqual(expected)
})
