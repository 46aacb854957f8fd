/** What a schema found wrong with a request, as faults that point at the place. Pure. */

import type { z } from '@hono/zod-openapi'
import { pointerOf } from '../lib/json-pointer.ts'
import type { Fault } from './problem.ts'

/** The faults of a failed check of `target`: body members by JSON pointer, parameters by name. */
export function faultsOf(target: string, error: Pick<z.ZodError, 'issues'>): Fault[] {
  return error.issues.flatMap((issue) => {
    const paths =
      issue.code === 'unrecognized_keys' ? issue.keys.map((key) => [...issue.path, key]) : [issue.path]
    return paths.map((path) => ({
      pointer: target === 'json' ? pointerOf(path) : path.map(String).join('.'),
      detail: detailOf(issue),
    }))
  })
}

/** The rule in our words: zod keeps those for the key of a record inside of its own "Invalid key". */
function detailOf(issue: z.ZodError['issues'][number]): string {
  if (issue.code === 'unrecognized_keys') return 'is not known here'
  return issue.code === 'invalid_key' ? (issue.issues[0]?.message ?? issue.message) : issue.message
}
