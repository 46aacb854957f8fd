/** /environments/{env}/queries/{id}/export and /groups: all rows as one file, and counts over the fleet. */

import { createRoute, z } from '@hono/zod-openapi'
import type { QueryRow } from '../db/queries.ts'
import { hostnamesOf } from '../db/targets.ts'
import { CONTENT_TYPES, EXPORT_FORMATS, exportText, streamOf, type ExportFormat } from '../queries/export.ts'
import { groupRows } from '../queries/groups.ts'
import type { RowFilter } from '../queries/row-filter.ts'
import { walkRows } from '../queries/walk.ts'
import type { OperatorContext, OperatorRoutes } from './context.ts'
import { inEnvironmentWithId, replies } from './describe.ts'
import { queryWithResults } from './query-view.ts'
import { bothOrNeither } from './log-filter.ts'
import { rowFilterOf, rowFilterQuery } from './row-filter-query.ts'

const MAX_GROUP_COLUMNS = 8
const MAX_SHOWN_GROUPS = 10_000
const DEFAULT_SHOWN_GROUPS = 100

const exportQuery = z
  .object({
    ...rowFilterQuery,
    format: z
      .enum(EXPORT_FORMATS, `is none of ${EXPORT_FORMATS.join(', ')}`)
      .optional()
      .openapi({ default: 'ndjson' }),
    spreadsheet: z
      .enum(['0', '1'], 'is neither 0 nor 1')
      .optional()
      .openapi({ description: '1: cells of a CSV file that look like formulas are made texts' }),
  })
  .check(bothOrNeither)

const groupsQuery = z
  .object({
    ...rowFilterQuery,
    by: z
      .union([z.string().min(1), z.array(z.string().min(1))])
      .transform((by) => (typeof by === 'string' ? [by] : by))
      .refine((by) => by.length <= MAX_GROUP_COLUMNS, `has more than ${MAX_GROUP_COLUMNS} columns`)
      .openapi({
        description: 'A column; may stand several times',
        type: 'array',
        items: { type: 'string' },
      }),
    limit: z
      .string()
      .regex(/^[1-9]\d{0,4}$/, 'is not a number from 1')
      .transform(Number)
      .refine((limit) => limit <= MAX_SHOWN_GROUPS, `is more than ${MAX_SHOWN_GROUPS}`)
      .optional()
      .openapi({ type: 'integer', default: DEFAULT_SHOWN_GROUPS, maximum: MAX_SHOWN_GROUPS }),
  })
  .check(bothOrNeither)

const groupsSchema = z
  .object({
    items: z.array(
      z.object({ values: z.record(z.string(), z.string().nullable()), rows: z.int(), nodes: z.int() }),
    ),
    groups: z.int(),
    rows: z.int(),
    nodes: z.int(),
    complete: z.boolean().openapi({ description: 'False: not counted to the end, or too many groups' }),
    continues: z.boolean().openapi({ description: 'The same request again counts on from here' }),
  })
  .openapi('QueryGroups')

const PATH = '/environments/{env}/queries/{id}'

export function addQueryExportRoutes(routes: OperatorRoutes): void {
  routes.openapi(
    createRoute({
      method: 'get',
      path: `${PATH}/export`,
      request: { params: inEnvironmentWithId, query: exportQuery },
      responses: replies(200, 'All rows, streamed', z.array(z.unknown())),
    }),
    async (c) => {
      const { format = 'ndjson', spreadsheet, ...filter } = c.req.valid('query')
      const row = await queryWithResults(c, c.req.valid('param').id)
      return row instanceof Response
        ? row
        : exportOf(c, row, format, spreadsheet === '1', rowFilterOf(filter))
    },
  )
  routes.openapi(
    createRoute({
      method: 'get',
      path: `${PATH}/groups`,
      request: { params: inEnvironmentWithId, query: groupsQuery },
      responses: replies(200, 'Rows and nodes by the values of columns, most rows first', groupsSchema),
    }),
    async (c) => {
      const { by, limit = DEFAULT_SHOWN_GROUPS, ...filter } = c.req.valid('query')
      const row = await queryWithResults(c, c.req.valid('param').id)
      if (row instanceof Response) return row
      const { groups, ...counted } = await groupRows(c.env, row.environmentId, row, by, rowFilterOf(filter))
      const items = groups.slice(0, limit).map(({ values, rows, nodes }) => ({
        values: Object.fromEntries(
          by.map((column, index) => [column, values[index]?.toWellFormed() ?? null]),
        ),
        rows,
        nodes,
      }))
      return c.json({ items, groups: groups.length, ...counted })
    },
  )
}

function exportOf(
  c: OperatorContext,
  row: QueryRow,
  format: ExportFormat,
  escapeFormulas: boolean,
  filter: RowFilter,
): Response {
  const { env } = c
  const { db } = c.var
  const source = {
    walk: () => walkRows(env, row.environmentId, row, filter),
    hostnames: (nodeIds: readonly string[]) => hostnamesOf(db, row.environmentId, nodeIds),
  }
  return new Response(streamOf(exportText(source, format, { escapeFormulas })), {
    headers: {
      'content-type': CONTENT_TYPES[format],
      'content-disposition': `attachment; filename="query-${row.id}.${format}"`,
    },
  })
}
