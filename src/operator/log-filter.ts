/** Which lines an operator asks for: parameters that reading and tailing share. */

import { z } from '@hono/zod-openapi'
import { isUuid } from '../lib/bytes.ts'
import { LINE_CHOICES, type LineFilter } from '../logs/line-filter.ts'

/** A search reads every line that may match: texts are no longer than a path. */
const MAX_SEARCH_CHARACTERS = 1_024

const searched = z
  .string()
  .min(1, 'is empty')
  .max(MAX_SEARCH_CHARACTERS, `is longer than ${MAX_SEARCH_CHARACTERS} characters`)
  .optional()

export const nodeParameter = z.string().refine(isUuid, 'is not the id of a node').optional()

export const lineParameters = {
  type: z
    .enum(LINE_CHOICES, `is none of ${LINE_CHOICES.join(', ')}`)
    .optional()
    .openapi({
      description: '`result` includes snapshots. Left out: what agents log, so neither `query` nor `audit`',
    }),
  name: z
    .string()
    .max(MAX_SEARCH_CHARACTERS, `is longer than ${MAX_SEARCH_CHARACTERS} characters`)
    .optional()
    .openapi({ description: 'Name of a scheduled query as agents write it; `*` stands for any characters' }),
  column: searched.openapi({
    description:
      'With `value`: lines with a row whose column has exactly this value (`column=path&value=/etc/passwd`)',
  }),
  value: z
    .string()
    .max(MAX_SEARCH_CHARACTERS, `is longer than ${MAX_SEARCH_CHARACTERS} characters`)
    .optional()
    .openapi({ description: 'May be empty' }),
  text: searched.openapi({ description: 'Occurs in a name or a value of the line, whatever the case' }),
}

/** What was asked for, as the parameters give it. */
export interface LineQuery {
  node?: string | undefined
  type?: LineFilter['type'] | undefined
  name?: string | undefined
  column?: string | undefined
  value?: string | undefined
  text?: string | undefined
}

/** The filter, without times. */
export function lineFilterOf({
  node,
  type,
  name,
  column,
  value,
  text,
}: LineQuery): Omit<LineFilter, 'sinceMs' | 'untilMs'> {
  return {
    nodeId: node ?? null,
    type: type ?? null,
    name: name === undefined || name === '' ? null : name,
    column: column === undefined || value === undefined ? null : { name: column, value },
    text: text ?? null,
  }
}

/** A column without a value asks for nothing. */
export function bothOrNeither(context: {
  value: { column?: string | undefined; value?: string | undefined }
  issues: unknown[]
}): void {
  const { column, value } = context.value
  if ((column === undefined) === (value === undefined)) return
  const [missing, present] = column === undefined ? ['column', 'value'] : ['value', 'column']
  context.issues.push({
    code: 'custom',
    message: `is needed with ${present}`,
    path: [missing],
    input: context.value,
  })
}
