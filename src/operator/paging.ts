/** Lists: newest first, a limit, and opaque cursors that name the last item's sort key. */

import { z } from '@hono/zod-openapi'
import { base64UrlOf, bytesOfBase64Url, strictTextOf, utf8 } from '../lib/bytes.ts'
import { valueOfText } from '../lib/json-value.ts'

const DEFAULT_LIMIT = 100
const MAX_LIMIT = 1_000

/** Sort keys: by time and id, or by a number that only grows. */
export const timeKey = z.tuple([z.int(), z.string()])
export const numberKey = z.tuple([z.int()])
/** By an id that sorts by time. */
export const idKey = z.tuple([z.string()])

export type TimeKey = z.infer<typeof timeKey>

/** The query parameters of a list whose cursors hold a key of this shape; spread filters beside them. */
export function pagingQuery<Key>(key: z.ZodType<Key>) {
  return {
    limit: z
      .string()
      .regex(/^\d{1,9}$/, 'is not a number')
      .transform(Number)
      .pipe(z.number().min(1, 'is less than 1').max(MAX_LIMIT, `is more than ${MAX_LIMIT}`))
      .optional()
      .transform((limit) => limit ?? DEFAULT_LIMIT)
      .openapi({ type: 'integer', minimum: 1, maximum: MAX_LIMIT, default: DEFAULT_LIMIT }),
    cursor: z
      .string()
      .optional()
      .transform((text, context): Key | null => {
        if (text === undefined) return null
        const parsed = key.safeParse(
          valueOfText(strictTextOf(bytesOfBase64Url(text) ?? new Uint8Array(0)) ?? ''),
        )
        if (parsed.success) return parsed.data
        context.addIssue({ code: 'custom', message: 'is not a cursor of this list' })
        return z.NEVER
      })
      .openapi({ type: 'string', description: '`nextCursor` of the page before' }),
  }
}

export function cursorOf(key: readonly (number | string)[]): string {
  return base64UrlOf(utf8(JSON.stringify(key)))
}

/**
 * One page of `limit` from rows of which one more than that was read: the extra row says that there is a next page.
 */
export function pageOf<Row>(
  rows: readonly Row[],
  limit: number,
  keyOf: (row: Row) => readonly (number | string)[],
): { rows: Row[]; nextCursor: string | null } {
  const shown = rows.slice(0, limit)
  const last = shown.at(-1)
  return { rows: shown, nextCursor: rows.length > limit && last !== undefined ? cursorOf(keyOf(last)) : null }
}
