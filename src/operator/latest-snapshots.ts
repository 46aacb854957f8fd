/**
 * /environments/{env}/scheduled-queries/{name}/latest: the newest snapshot of each node, however many rows it has; and
 * /environments/{env}/latest-snapshots: for which queries they are kept at hand.
 */

import { createRoute, z } from '@hono/zod-openapi'
import { latestSnapshotPatterns, replaceLatestSnapshots } from '../db/latest-snapshots.ts'
import { Deadline } from '../lib/deadline.ts'
import { rfc3339OrNull } from '../lib/time.ts'
import { readLatest } from '../logs/latest-snapshots.ts'
import { logPageBody, nodesWithoutHostname } from '../logs/log-item.ts'
import { nameMatcher } from '../logs/name-glob.ts'
import { nodeFactsOf } from '../logs/node-facts.ts'
import { environmentChangeNote } from './change-note.ts'
import type { OperatorRoutes } from './context.ts'
import { envParam, inEnvironment, jsonBody, replies, time } from './describe.ts'
import { logSchema } from './logs.ts'
import { cursorOf, idKey, pagingQuery } from './paging.ts'
import { problem } from './problem.ts'

const SETTING = '/environments/{env}/latest-snapshots'
const MAX_PATTERNS = 100
const MAX_PATTERN_CHARACTERS = 256
const D1_WITHIN_MS = 5_000

const settingSchema = z
  .strictObject({
    names: z
      .array(
        z
          .string()
          .min(1, 'is empty')
          .max(MAX_PATTERN_CHARACTERS, `is longer than ${MAX_PATTERN_CHARACTERS} characters`),
      )
      .max(MAX_PATTERNS, `more than ${MAX_PATTERNS} names`)
      .openapi({
        description: 'Names of scheduled queries as agents write them; `*` stands for any characters',
      }),
  })
  .openapi('LatestSnapshots')

export function addLatestSnapshotRoutes(routes: OperatorRoutes): void {
  routes.openapi(
    createRoute({
      method: 'get',
      path: '/environments/{env}/scheduled-queries/{name}/latest',
      request: {
        params: z.object({
          env: envParam,
          name: z.string().openapi({ description: 'As agents write it, `/` as %2F: `pack%2Fsec%2Fusers`' }),
        }),
        query: z.object(pagingQuery(idKey)),
      },
      responses: replies(
        200,
        'Lines as in …/logs, in the order of node ids',
        z.object({
          items: z.array(logSchema),
          nextCursor: z.string().nullable(),
          incompleteFrom: time.nullable().openapi({
            description: 'Newer snapshots than these may have come from then on; null: these are the newest',
          }),
        }),
      ),
    }),
    async (c) => {
      const { name } = c.req.valid('param')
      const { cursor, limit } = c.req.valid('query')
      const { id } = c.var.environment
      const patterns = await new Deadline(D1_WITHIN_MS).run(latestSnapshotPatterns(c.env.DB, id))
      if (!patterns.some((pattern) => nameMatcher(pattern)(name))) {
        return problem(
          404,
          `The newest snapshots of this query are not kept: see ${SETTING.replace('{env}', id)}.`,
        )
      }
      const page = await readLatest(c.env, id, { name, afterNode: cursor?.[0] ?? '', limit })
      const facts = await nodeFactsOf(c.env, nodesWithoutHostname(page.lines))
      const body = logPageBody(page.lines, facts, {
        nextCursor: page.nextAfter === null ? null : cursorOf([page.nextAfter]),
        incompleteFrom: rfc3339OrNull(page.incompleteFromMs),
      })
      return new Response(body, { headers: { 'content-type': 'application/json' } })
    },
  )
  addSettingRoutes(routes)
}

function addSettingRoutes(routes: OperatorRoutes): void {
  routes.openapi(
    createRoute({
      method: 'get',
      path: SETTING,
      request: { params: inEnvironment },
      responses: replies(200, 'The queries whose newest snapshots are kept at hand', settingSchema),
    }),
    async (c) => {
      const names = await new Deadline(D1_WITHIN_MS).run(
        latestSnapshotPatterns(c.env.DB, c.var.environment.id),
      )
      return c.json({ names })
    },
  )
  routes.openapi(
    createRoute({
      method: 'put',
      path: SETTING,
      description: 'Holds for what is compacted from now on, and for what waits for it.',
      request: { params: inEnvironment, body: jsonBody(settingSchema) },
      responses: replies(200, 'Set', settingSchema),
    }),
    async (c) => {
      const names = [...new Set(c.req.valid('json').names)].sort()
      const { db, environment } = c.var
      const note = environmentChangeNote(c, 'latest-snapshots.set', environment.id, { names })
      await replaceLatestSnapshots(db, note, environment.id, names)
      return c.json({ names })
    },
  )
}
