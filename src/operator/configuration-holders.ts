/** /environments/{env}/configuration/holders: which version how many nodes hold, and who is behind. */

import { createRoute, z } from '@hono/zod-openapi'
import { stableVersion } from '../db/configurations.ts'
import { highestOrdinal } from '../db/environments.ts'
import { nodesOfOrdinals } from '../db/nodes.ts'
import { membersOfRollout, rolloutUnderWay } from '../db/rollouts.ts'
import { allNodes } from '../db/targets.ts'
import { NodeSet } from '../fleet/node-set.ts'
import { Deadline } from '../lib/deadline.ts'
import { rfc3339OrNull } from '../lib/time.ts'
import { holdersOf, lastSeenOf } from '../presence/read.ts'
import type { OperatorContext, OperatorRoutes } from './context.ts'
import { inEnvironment, replies, repliesList, time } from './describe.ts'
import { nodeViews } from './node-view.ts'
import { numberKey, pageOf, pagingQuery } from './paging.ts'

const PRESENCE_WITHIN_MS = 5_000

const holdersSchema = z
  .object({
    stableVersion: z.int().openapi({ description: 'What nodes get where they are in no rollout' }),
    rollout: z.object({ id: z.string(), version: z.int(), members: z.int() }).nullable(),
    nodes: z.int(),
    current: z.int().openapi({ description: 'Nodes that were last served what they are to have' }),
    behind: z.int().openapi({ description: 'All others' }),
    never: z.int().openapi({ description: 'Of those, the ones that were never served any' }),
    versions: z
      .array(z.object({ version: z.int(), nodes: z.int() }))
      .openapi({ description: 'Last served, the newest version first' }),
  })
  .openapi('ConfigurationHolders')

const behindSchema = z
  .object({
    nodeId: z.string(),
    hostname: z.string(),
    version: z.int().nullable().openapi({ description: 'Last served; null: none yet' }),
    expectedVersion: z.int(),
    configuredAt: time.nullable().openapi({ description: 'When it last fetched its configuration' }),
    lastSeenAt: time,
    online: z.boolean(),
  })
  .openapi('NodeBehind')

const PATH = '/environments/{env}/configuration/holders'

export function addConfigurationHolderRoutes(routes: OperatorRoutes): void {
  routes.openapi(
    createRoute({
      method: 'get',
      path: PATH,
      request: { params: inEnvironment },
      responses: replies(200, 'By what nodes were last served', holdersSchema),
    }),
    async (c) => {
      const { everyone, holders, rollout, stable, behind } = await driftOf(c)
      const versions = [...holders]
        .map(([version, set]) => ({ version, nodes: within(set, everyone).size }))
        .filter(({ version, nodes }) => version > 0 && nodes > 0)
      const served = versions.reduce((sum, { nodes }) => sum + nodes, 0)
      return c.json({
        stableVersion: stable,
        rollout: rollout && { ...rollout, members: rollout.members.size },
        nodes: everyone.size,
        current: everyone.size - behind.size,
        behind: behind.size,
        never: everyone.size - served,
        versions: versions.toSorted((a, b) => b.version - a.version),
      })
    },
  )
  routes.openapi(
    createRoute({
      method: 'get',
      path: `${PATH}/behind`,
      request: { params: inEnvironment, query: z.object(pagingQuery(numberKey)) },
      responses: repliesList(behindSchema),
    }),
    async (c) => {
      const { cursor, limit } = c.req.valid('query')
      return c.json(await behindPage(c, cursor?.[0] ?? null, limit))
    },
  )
}

interface Drift {
  everyone: NodeSet
  /** By version, who was last served it. */
  holders: Map<number, NodeSet>
  stable: number
  rollout: { id: string; version: number; members: NodeSet } | null
  /** Who was last served something else than what it is to have. */
  behind: NodeSet
}

async function driftOf(c: OperatorContext): Promise<Drift> {
  const { db, environment } = c.var
  const [stable, underWay, everyone, highest] = await Promise.all([
    stableVersion(db, environment.id),
    rolloutUnderWay(db, environment.id),
    allNodes(db, environment.id),
    highestOrdinal(db, environment.id),
  ])
  const holders = await new Deadline(PRESENCE_WITHIN_MS).run(holdersOf(c.env, environment.id, highest, 1))
  const members =
    underWay?.served === true ? within(await membersOfRollout(db, underWay.id), everyone) : new NodeSet()
  const behind = copyOf(everyone)
  behind.deleteAll(within(holders.get(underWay?.version ?? stable) ?? new NodeSet(), members))
  const others = copyOf(everyone)
  others.deleteAll(members)
  behind.deleteAll(within(holders.get(stable) ?? new NodeSet(), others))
  const rollout = underWay && { id: underWay.id, version: underWay.version, members }
  return { everyone, holders, stable, rollout, behind }
}

/** Newest nodes first. */
async function behindPage(c: OperatorContext, below: number | null, limit: number) {
  const { db, environment } = c.var
  const { behind, rollout, stable } = await driftOf(c)
  const ordinals = [...behind].filter((ordinal) => below === null || ordinal < below).toReversed()
  const rows = await nodesOfOrdinals(db, environment.id, ordinals.slice(0, limit + 1))
  const page = pageOf(rows, limit, ({ ordinal }) => [ordinal])
  const views = await nodeViews(c, page.rows)
  const asked = lastSeenOf(
    c.env,
    environment.id,
    page.rows.map(({ ordinal }) => ordinal),
  )
  const seen = await new Deadline(PRESENCE_WITHIN_MS).run(asked)
  const items = page.rows.map(({ id, hostname, ordinal }, index) => {
    const sightings = seen.get(ordinal)
    const atS = sightings?.atS.config ?? 0
    const { lastSeenAt, online } = views[index] ?? {}
    return {
      nodeId: id,
      hostname,
      version: sightings?.configurationVersion || null,
      expectedVersion: rollout?.members.has(ordinal) === true ? rollout.version : stable,
      configuredAt: rfc3339OrNull(atS === 0 ? null : atS * 1_000),
      lastSeenAt,
      online,
    }
  })
  return { items, nextCursor: page.nextCursor }
}

function within(set: NodeSet, everyone: NodeSet): NodeSet {
  const there = copyOf(set)
  there.retainAll(everyone)
  return there
}

function copyOf(set: NodeSet): NodeSet {
  const copy = new NodeSet()
  copy.addAll(set)
  return copy
}
