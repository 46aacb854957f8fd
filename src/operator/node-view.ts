/** A node as operators see it: its row from D1, when it was seen from presence. */

import { z } from '@hono/zod-openapi'
import { rolloutPlaceOf } from '../config/rollout-place.ts'
import { stableVersion } from '../db/configurations.ts'
import { formerIdsOf } from '../db/duplicates.ts'
import { distributedIntervalOption, tagsOf, type NodeRow, type NodeSummaryRow } from '../db/nodes.ts'
import { tracesOfNode, type NodeTraces } from '../db/trace-lookup.ts'
import { onlineForS } from '../fleet/online.ts'
import { NODE_STATES, nodeStateOf } from '../fleet/standing.ts'
import { Deadline } from '../lib/deadline.ts'
import { addressOfKey } from '../lib/ip-address.ts'
import { rfc3339, rfc3339OrNull } from '../lib/time.ts'
import { PRESENCE_KINDS, type LastSeen } from '../presence/kinds.ts'
import { lastSeenOf, lastSignMs } from '../presence/read.ts'
import type { OperatorContext } from './context.ts'
import { time } from './describe.ts'

/** An object that does not say in this time is an outage. */
const PRESENCE_WITHIN_MS = 3_000

export const nodeSchema = z
  .object({
    id: z.string(),
    hostname: z.string(),
    platform: z.string(),
    osqueryVersion: z.string().openapi({ description: 'As its newest request said it' }),
    lastIp: z.string().nullable().openapi({ description: 'Where its requests come from; null: not known' }),
    lastIpAt: time.nullable().openapi({ description: 'Since when they come from there' }),
    tags: z.array(z.string()),
    state: z.enum(NODE_STATES),
    enrolledAt: time,
    lastSeenAt: time,
    online: z.boolean(),
  })
  .openapi('Node')

const seenTimes = Object.fromEntries(PRESENCE_KINDS.map((kind) => [kind, time.nullable()]))
export const nodeDetailSchema = nodeSchema
  .extend({
    platformFamily: z.string(),
    hostIdentifier: z.string(),
    hardwareUuid: z.string(),
    hardwareSerial: z.string(),
    instanceId: z.string(),
    hostDetails: z.record(z.string(), z.record(z.string(), z.string())),
    firstEnrolledAt: time,
    enrollCount: z.int(),
    enrollSecretId: z
      .string()
      .nullable()
      .openapi({ description: 'That of the newest enroll; null: from before secrets were noted' }),
    cloneSuspectedAt: time.nullable(),
    pendingSince: time.nullable(),
    approvedAt: time.nullable(),
    archivedAt: time.nullable(),
    blockedAt: time.nullable(),
    formerIds: z
      .array(z.string())
      .openapi({ description: 'Nodes that were merged into it: their history is under their ids' }),
    cloneOf: z.string().nullable().openapi({ description: 'The node that it was split from' }),
    clones: z.enum(['split', 'flagged', 'joined']).nullable().openapi({ description: 'See …/clones' }),
    dampedEnrolls: z.int().openapi({ description: 'Enrolls that were answered without asking D1' }),
    hardwareUuidSeen: z.object({ uuid: z.string(), at: time }).nullable().openapi({
      description: 'Another than it enrolled with, by its daily snapshot: who it is, enroll decides',
    }),
    addresses: z
      .array(z.object({ kind: z.enum(['public', 'interface']), address: z.string(), since: time }))
      .openapi({ description: 'Now; `public` may lag some minutes behind lastIp' }),
    macs: z.array(z.string()),
    users: z.array(z.string()).openapi({ description: 'Logged in at the last snapshot, in lower case' }),
    lastSeen: z.object(seenTimes).openapi({ description: 'By kind of request' }),
    configurationVersion: z.int().nullable().openapi({ description: 'Last served; null: none yet' }),
    expectedConfigurationVersion: z
      .int()
      .openapi({ description: 'What it gets at its next poll, by the rollout that is under way' }),
  })
  .openapi('NodeDetail')

export type NodeView = z.infer<typeof nodeSchema>

/** What nodes of one environment need beside their rows. Throws where presence does not answer. */
export async function nodeViews(c: OperatorContext, rows: readonly NodeSummaryRow[]): Promise<NodeView[]> {
  if (rows.length === 0) return []
  const environmentId = c.var.environment.id
  const [tags, seen, interval] = await Promise.all([
    tagsOf(
      c.var.db,
      environmentId,
      rows.map(({ id }) => id),
    ),
    seenOf(c, rows),
    distributedIntervalOption(c.var.db, environmentId),
  ])
  const { nowMs } = c.var
  const onlineSinceMs = nowMs - onlineForS(interval) * 1_000
  return rows.map((row) => viewOf(row, tags.get(row.id) ?? [], seen.get(row.ordinal), nowMs, onlineSinceMs))
}

function viewOf(
  row: NodeSummaryRow,
  tags: string[],
  seen: LastSeen | undefined,
  nowMs: number,
  onlineSinceMs: number,
): NodeView {
  const { id, hostname, platform, osqueryVersion, enrolledAtMs } = row
  const lastSeenAtMs = lastSignMs(seen, enrolledAtMs, nowMs)
  return {
    id,
    hostname,
    platform,
    // D1 hears of a new version some time after presence.
    osqueryVersion: seen?.agent?.osqueryVersion || osqueryVersion,
    ...lastPlace(seen),
    tags,
    state: nodeStateOf(row),
    enrolledAt: rfc3339(enrolledAtMs),
    lastSeenAt: rfc3339(lastSeenAtMs),
    online: lastSeenAtMs >= onlineSinceMs,
  }
}

function lastPlace(seen: LastSeen | undefined): Pick<NodeView, 'lastIp' | 'lastIpAt'> {
  const address = seen?.agent?.address ?? null
  if (address === null) return { lastIp: null, lastIpAt: null }
  return { lastIp: address.ip, lastIpAt: rfc3339(address.sinceS * 1_000) }
}

/** All that is known of one node. */
export async function nodeDetail(c: OperatorContext, row: NodeRow) {
  const [[view], seen, traces] = await Promise.all([
    nodeViews(c, [row]),
    seenOf(c, [row]),
    tracesOfNode(c.env.DB, row.id),
  ])
  const sightings = seen.get(row.ordinal)
  const { platformFamily, hostIdentifier, hardwareUuid, hardwareSerial, instanceId, enrollCount } = row
  return {
    ...view,
    platformFamily,
    hostIdentifier,
    hardwareUuid,
    hardwareSerial,
    instanceId,
    hostDetails: JSON.parse(row.hostDetails) as Record<string, Record<string, string>>,
    firstEnrolledAt: rfc3339(row.firstEnrolledAtMs),
    enrollCount,
    enrollSecretId: row.enrollSecretId,
    cloneSuspectedAt: rfc3339OrNull(row.cloneSuspectedAtMs),
    pendingSince: rfc3339OrNull(row.pendingSinceMs),
    approvedAt: rfc3339OrNull(row.approvedAtMs),
    archivedAt: rfc3339OrNull(row.archivedAtMs),
    blockedAt: rfc3339OrNull(row.blockedAtMs),
    formerIds: await formerIdsOf(c.var.db, row.environmentId, row.id),
    cloneOf: row.cloneOf,
    clones: row.clones,
    dampedEnrolls: row.dampedEnrolls,
    ...tracesView(traces),
    lastSeen: {
      ...Object.fromEntries(PRESENCE_KINDS.map((kind) => [kind, seenTime(sightings?.atS[kind])])),
      // D1 knows it at once, presence a little later.
      enroll: rfc3339(Math.max(row.enrolledAtMs, (sightings?.atS.enroll ?? 0) * 1_000)),
    },
    configurationVersion: sightings?.configurationVersion || null,
    expectedConfigurationVersion: await expectedVersion(c, row),
  }
}

function tracesView({ values, uuidSeen }: NodeTraces) {
  const valuesOf = (wanted: string) => values.flatMap(({ kind, value }) => (kind === wanted ? [value] : []))
  return {
    hardwareUuidSeen: uuidSeen === null ? null : { uuid: uuidSeen.uuid, at: rfc3339(uuidSeen.atMs) },
    addresses: values.flatMap(({ kind, value, fromMs }) =>
      kind === 'public' || kind === 'interface'
        ? [{ kind, address: addressOfKey(value), since: rfc3339(fromMs) }]
        : [],
    ),
    macs: valuesOf('mac'),
    users: valuesOf('user'),
  }
}

function seenOf(c: OperatorContext, rows: readonly NodeSummaryRow[]): Promise<Map<number, LastSeen>> {
  const ordinals = rows.map(({ ordinal }) => ordinal)
  return new Deadline(PRESENCE_WITHIN_MS).run(lastSeenOf(c.env, c.var.environment.id, ordinals))
}

/** Presence says 0 for "never". */
function seenTime(atS: number | undefined): string | null {
  return atS === undefined || atS === 0 ? null : rfc3339(atS * 1_000)
}

async function expectedVersion(c: OperatorContext, { environmentId, ordinal }: NodeRow): Promise<number> {
  const { rollout } = await rolloutPlaceOf(c.var.db, environmentId, ordinal)
  return rollout?.version ?? (await stableVersion(c.var.db, environmentId))
}
