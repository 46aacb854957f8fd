/** Which nodes get another configuration than the others while a version is rolled out, or after it was taken back. Pure. */

import { readBuiltIn } from '../config/built-in.ts'
import { distinct } from '../config/held.ts'
import { reportingOften } from '../config/rollout-place.ts'
import type { EnvironmentRows } from '../db/snapshot-rows.ts'
import { NodeSet } from '../fleet/node-set.ts'

/** Nodes, and the rows that their documents are compiled from. */
export interface CohortRows {
  members: NodeSet
  rows: EnvironmentRows
}

/**
 * The cohorts of an environment; the first that a node is in counts. Members of a rollout get its version. Nodes that had
 * one which was taken back are told the defaults of its options, in whatever they get now; all others are not, so that
 * their documents stay what they were.
 */
export function cohortRows(rows: EnvironmentRows): CohortRows[] {
  const { candidate = null, takenBack = [] } = rows.rollouts ?? {}
  const former = new NodeSet()
  for (const { members } of takenBack) former.addAll(members)
  const mayHold = distinct([...rows.held, ...takenBack.flatMap(({ held }) => held)])
  const cohorts: CohortRows[] = []
  if (candidate !== null) {
    const { configuration, layers, members, costIntervalS } = candidate
    const builtIn = JSON.stringify(reportingOften(readBuiltIn(rows.environment.builtIn), costIntervalS))
    const own = { ...rows, environment: { ...rows.environment, builtIn }, configuration, layers }
    const both = new NodeSet()
    both.addAll(members)
    both.retainAll(former)
    cohorts.push({ members: both, rows: { ...own, held: mayHold } })
    cohorts.push({ members, rows: own })
  }
  cohorts.push({ members: former, rows: { ...rows, held: mayHold } })
  return cohorts.filter(({ members }) => members.size > 0)
}
