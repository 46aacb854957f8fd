/** What the OpenAPI document says of replies: shared pieces, so that a route's own file names only what is its own. */

import { z, type RouteConfig } from '@hono/zod-openapi'

type Responses = { [status: string]: RouteConfig['responses'][string] }

const problemSchema = z
  .object({
    type: z.string(),
    title: z.string(),
    status: z.int(),
    detail: z.string(),
    errors: z.array(z.object({ pointer: z.string(), detail: z.string() })),
  })
  .openapi('Problem')

const PROBLEMS: Responses = {
  default: {
    description: 'A problem (RFC 9457)',
    content: { 'application/problem+json': { schema: problemSchema } },
  },
}

/** Environment and identifier in a path. */
export const envParam = z.string().openapi({ description: 'UUID or name of an environment' })
export const inEnvironment = z.object({ env: envParam })
export const inEnvironmentWithId = z.object({ env: envParam, id: z.string() })

/** RFC 3339. */
export const time = z.string().openapi({ format: 'date-time' })

/** What a change brings beside the thing itself. */
export const published = { revision: z.int(), live: z.boolean() }

/** A JSON reply of this status. */
export function replies(status: number, description: string, schema: z.ZodType): Responses {
  return { [status]: { description, content: { 'application/json': { schema } } }, ...PROBLEMS }
}

/** A 200 reply of plain text. */
export function repliesText(description: string): Responses {
  return { 200: { description, content: { 'text/plain': { schema: z.string() } } }, ...PROBLEMS }
}

/** A 204 reply. */
export function repliesNothing(description: string): Responses {
  return { 204: { description }, ...PROBLEMS }
}

/** A page of a list. */
export function repliesList(item: z.ZodType): Responses {
  return replies(200, 'A page', z.object({ items: z.array(item), nextCursor: z.string().nullable() }))
}

/** A JSON request body. */
export function jsonBody<Schema extends z.ZodType>(schema: Schema) {
  return { required: true, content: { 'application/json': { schema } } } as const
}
