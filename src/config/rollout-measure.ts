/** What is known of a rollout's members, from presence and from what their scheduled queries cost. */

import { costsOfMembers, type MemberCosts } from '../costs/read.ts'
import type { ControlDb } from '../db/control.ts'
import { highestOrdinal } from '../db/environments.ts'
import { distributedIntervalsSaid } from '../db/configurations.ts'
import { distributedIntervalOption } from '../db/nodes.ts'
import { membersOfRollout, type RolloutRow } from '../db/rollouts.ts'
import { allNodes } from '../db/targets.ts'
import { NodeSet } from '../fleet/node-set.ts'
import { distributedIntervalS, onlineForS } from '../fleet/online.ts'
import type { Measured, Share, Usage } from '../fleet/rollout-gates.ts'
import { Deadline } from '../lib/deadline.ts'
import { holdersOf, seenSince } from '../presence/read.ts'

/** An object that does not say in this time is an outage. */
const PRESENCE_WITHIN_MS = 5_000
const DAY_MS = 24 * 3_600_000

/**
 * Measures the members of a rollout now. Throws where D1 or presence does not answer; what costs do not say is not known.
 */
export async function measureRollout(
  env: Env,
  db: ControlDb,
  row: RolloutRow,
  nowMs: number,
): Promise<Measured> {
  const { environmentId } = row
  const highest = await highestOrdinal(db, environmentId)
  const everyone = await allNodes(db, environmentId)
  const members = both(await membersOfRollout(db, row.id), everyone)
  const others = without(everyone, members)
  const windowMs = onlineForS(await longestInterval(db, row)) * 1_000
  const seen = (sinceMs: number) => within(seenSince(env, environmentId, highest, secondOf(sinceMs)))
  const online = await seen(nowMs - windowMs)
  const holders = await within(holdersOf(env, environmentId, highest, 1))
  const membersOnline = both(members, online)
  const isTooEarly = nowMs - row.stepSinceMs < windowMs
  const was = isTooEarly ? null : await seen(row.stepSinceMs - windowMs)
  const costs = await costsOf(env, row, highest, members, nowMs)
  return {
    members: members.size,
    online: membersOnline.size,
    received: both(membersOnline, holders.get(row.version) ?? new NodeSet()).size,
    checkInsLost:
      was === null ? null : { members: lostOf(members, was, online), others: lostOf(others, was, online) },
    ...(costs === null
      ? NOTHING_OF_COSTS
      : factsOf(costs, { members: membersOnline.size, others: both(others, online).size })),
  }
}

/** Members and others may come at other intervals, by version and layer: who comes least often counts as lost last. */
async function longestInterval(db: ControlDb, row: RolloutRow): Promise<number> {
  const { environmentId, stableVersion, version } = row
  const said = [
    await distributedIntervalOption(db, environmentId),
    ...(await distributedIntervalsSaid(db, environmentId, [stableVersion, version])),
  ]
  return Math.max(...said.map(distributedIntervalS))
}

const NOTHING_OF_COSTS = { denylisted: null, queryErrors: null, cpu: null, memory: null, logVolume: null }

interface RolloutCosts {
  /** Since the rollout began. */
  members: MemberCosts
  everyone: MemberCosts
  /** Since the step began. */
  lately: MemberCosts
  /** Members in the day before the rollout, all nodes in the last one. */
  before: MemberCosts
  usual: MemberCosts
}

/** Null where costs do not answer: that is no reason not to look at the rest. */
async function costsOf(
  env: Env,
  row: RolloutRow,
  highest: number,
  members: NodeSet,
  nowMs: number,
): Promise<RolloutCosts | null> {
  const { environmentId, createdAtMs, stepSinceMs } = row
  const of = (set: NodeSet | null, sinceMs: number, untilMs: number) =>
    costsOfMembers(env, environmentId, highest, set, { sinceMs, untilMs })
  // Some seconds more: what is received now is of now.
  const untilMs = nowMs + 60_000
  try {
    const [ofMembers, everyone, lately, before, usual] = await Promise.all([
      of(members, createdAtMs, untilMs),
      of(null, createdAtMs, untilMs),
      of(members, stepSinceMs, untilMs),
      of(members, createdAtMs - DAY_MS, createdAtMs),
      of(null, nowMs - DAY_MS, untilMs),
    ])
    return { members: ofMembers, everyone, lately, before, usual }
  } catch (error) {
    console.warn(JSON.stringify({ event: 'rollout-costs-unknown', error: String(error) }))
    return null
  }
}

function factsOf(
  costs: RolloutCosts,
  online: { members: number; others: number },
): Pick<Measured, 'denylisted' | 'queryErrors' | 'cpu' | 'memory' | 'logVolume'> {
  const { members, everyone, lately, before, usual } = costs
  const worst = Math.max(0, ...members.denylisted.map(({ nodes }) => nodes))
  const usage = (metric: 'cpuMsPerHour' | 'memoryBytes' | 'outputBytesPerHour'): Usage | null => {
    const now = lately[metric]
    const known = [before[metric], usual[metric]].filter((each) => each !== null)
    if (now === null || known.length === 0) return null
    // What the whole fleet does more of than yesterday is not the version's doing.
    return { members: now.p95, usual: Math.max(...known.map(({ p95 }) => p95)) }
  }
  return {
    denylisted: members.nodes === 0 ? null : { nodes: worst, of: members.nodes },
    queryErrors: errorsOf(members, everyone, online),
    cpu: usage('cpuMsPerHour'),
    memory: usage('memoryBytes'),
    logVolume: usage('outputBytesPerHour'),
  }
}

/** Of the query that fails most beyond what it does elsewhere. Errors come with or without costs. */
function errorsOf(
  members: MemberCosts,
  everyone: MemberCosts,
  online: { members: number; others: number },
): Measured['queryErrors'] {
  if (members.nodes === 0 && members.errors.length === 0) return null
  const total = new Map(everyone.errors.map(({ query, nodes }) => [query, nodes]))
  const shares = members.errors.map(({ query, nodes }) => ({
    members: { nodes, of: Math.max(online.members, nodes) },
    others: { nodes: Math.max(0, (total.get(query) ?? 0) - nodes), of: online.others },
  }))
  const beyond = (each: { members: Share; others: Share }) =>
    each.members.nodes / each.members.of - (each.others.of === 0 ? 0 : each.others.nodes / each.others.of)
  const [worst] = shares.toSorted((a, b) => beyond(b) - beyond(a))
  return (
    worst ?? {
      members: { nodes: 0, of: Math.max(1, online.members) },
      others: { nodes: 0, of: online.others },
    }
  )
}

/** Of those who were there when the step began, who is not any more. */
function lostOf(set: NodeSet, was: NodeSet, online: NodeSet): Share {
  const there = both(set, was)
  return { nodes: without(there, online).size, of: there.size }
}

function both(one: NodeSet, other: NodeSet): NodeSet {
  const set = new NodeSet()
  set.addAll(one)
  set.retainAll(other)
  return set
}

function without(one: NodeSet, other: NodeSet): NodeSet {
  const set = new NodeSet()
  set.addAll(one)
  set.deleteAll(other)
  return set
}

function secondOf(ms: number): number {
  return Math.max(1, Math.ceil(ms / 1_000))
}

function within<T>(work: Promise<T>): Promise<T> {
  return new Deadline(PRESENCE_WITHIN_MS).run(work)
}
