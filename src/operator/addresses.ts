/** GET /environments/{env}/addresses: which node had an address, now or at a time. */

import { createRoute, z } from '@hono/zod-openapi'
import { addressHistory, type AddressRow } from '../db/trace-lookup.ts'
import { Deadline } from '../lib/deadline.ts'
import { addressOfKey } from '../lib/ip-address.ts'
import { rfc3339, rfc3339OrNull } from '../lib/time.ts'
import { lastSeenOf, lastSignMs } from '../presence/read.ts'
import type { OperatorContext, OperatorRoutes } from './context.ts'
import { inEnvironment, repliesList, time } from './describe.ts'
import { timeParameter } from './logs.ts'
import { addressParameter } from './node-lookup.ts'
import { pageOf, pagingQuery, timeKey } from './paging.ts'

const PRESENCE_WITHIN_MS = 3_000

const addressSchema = z
  .object({
    nodeId: z.string(),
    hostname: z.string().openapi({ description: 'As it is called now' }),
    address: z.string(),
    kind: z.enum(['public', 'interface']).openapi({
      description: '`public`: where its requests came from, so many nodes may share it. `interface`: its own',
    }),
    from: time,
    until: time.nullable().openapi({
      description: 'When it was last seen there (public), or the snapshot that had it no more; null: still',
    }),
    lastSeenAt: time.openapi({
      description: 'The node: whether it was there at all at a time after this is open',
    }),
    deletedAt: time.nullable(),
  })
  .openapi('NodeAddress')

const addressQuery = z.object({
  ...pagingQuery(timeKey),
  ip: addressParameter,
  at: timeParameter.openapi({
    description: 'Who had it then (RFC 3339). Without: who ever had it, newest first',
  }),
})

export function addAddressRoutes(routes: OperatorRoutes): void {
  routes.openapi(
    createRoute({
      method: 'get',
      path: '/environments/{env}/addresses',
      description:
        'Public addresses are known within a minute (of one node every ten minutes at most); a node counts as gone ' +
        'from one an hour after it was last seen there. Addresses of interfaces are as exact as the snapshot, daily unless set otherwise.',
      request: { params: inEnvironment, query: addressQuery },
      responses: repliesList(addressSchema),
    }),
    async (c) => {
      const { ip, at, cursor, limit } = c.req.valid('query')
      const rows = await addressHistory(c.env.DB, c.var.environment.id, {
        ...ip,
        atMs: at ?? null,
        after: cursor,
        limit: limit + 1,
      })
      const page = pageOf(rows, limit, ({ fromMs, place }) => [fromMs, place])
      return c.json({ items: await shown(c, page.rows), nextCursor: page.nextCursor })
    },
  )
}

async function shown(c: OperatorContext, rows: readonly AddressRow[]) {
  const ordinals = [...new Set(rows.map(({ ordinal }) => ordinal))]
  const seen = await new Deadline(PRESENCE_WITHIN_MS).run(lastSeenOf(c.env, c.var.environment.id, ordinals))
  return rows.map(({ nodeId, ordinal, hostname, kind, value, fromMs, toMs, enrolledAtMs, deletedAtMs }) => ({
    nodeId,
    hostname,
    address: addressOfKey(value),
    kind,
    from: rfc3339(fromMs),
    until: rfc3339OrNull(toMs),
    lastSeenAt: rfc3339(lastSignMs(seen.get(ordinal), enrolledAtMs, c.var.nowMs)),
    deletedAt: rfc3339OrNull(deletedAtMs),
  }))
}
