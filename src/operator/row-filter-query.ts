/** The parameters that choose result rows, for lists, exports and counts alike. They are named as those of logs are. */

import { z } from '@hono/zod-openapi'
import { isUuid } from '../lib/bytes.ts'
import type { RowFilter } from '../queries/row-filter.ts'

const MAX_CHARACTERS = 1_024
const text = z.string().max(MAX_CHARACTERS, `is longer than ${MAX_CHARACTERS} characters`)

/** Check the whole with `bothOrNeither`. */
export const rowFilterQuery = {
  node: z.string().refine(isUuid, 'is not the id of a node').optional(),
  column: text
    .min(1, 'must not be empty')
    .optional()
    .openapi({ description: 'With `value`: rows whose column has exactly this value' }),
  value: text.optional().openapi({ description: 'May be empty' }),
}

export interface RowFilterQuery {
  node?: string | undefined
  column?: string | undefined
  value?: string | undefined
}

export function rowFilterOf({ node, column, value }: RowFilterQuery): RowFilter {
  return {
    nodeId: node ?? null,
    column: column === undefined || value === undefined ? null : { name: column, value },
  }
}
