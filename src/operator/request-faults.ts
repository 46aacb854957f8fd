/** What a schema found wrong with a request, as faults that point at the place. Pure. */

import type { z } from '@hono/zod-openapi'
import { pointerOf } from '../lib/json-pointer.ts'
import type { Fault } from './problem.ts'

/** The faults of a failed check of `target`: body members by JSON pointer, parameters by name. */
export function faultsOf(target: string, error: Pick<z.ZodError, 'issues'>): Fault[] {
  return error.issues.flatMap((issue) => {
    const paths =
      issue.code === 'unrecognized_keys' ? issue.keys.map((key) => [...issue.path, key]) : [issue.path]
    const detail = issue.code === 'unrecognized_keys' ? 'is not known here' : issue.message
    return paths.map((path) => ({
      pointer: target === 'json' ? pointerOf(path) : path.map(String).join('.'),
      detail,
    }))
  })
}
