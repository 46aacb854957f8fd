/** Names that operators give to things, for people to read. */

import { z } from '@hono/zod-openapi'

const MAX_NAME_CHARACTERS = 200

/** Not blank, no control characters (they end up in audit rows and terminals). */
export const displayName = z
  .string()
  .trim()
  .min(1, 'must not be blank')
  .max(MAX_NAME_CHARACTERS, `is longer than ${MAX_NAME_CHARACTERS} characters`)
  .refine((name) => !/\p{Cc}/u.test(name), 'has control characters')

/** Why something was done, for those who read it later. */
export const reasonText = displayName.default('').openapi({ description: 'For people; may be left out' })

/** Tags of one node. */
export const MAX_TAGS = 50

export const tagName = z
  .string()
  .regex(/^[A-Za-z0-9][A-Za-z0-9._:@-]{0,62}$/, 'must match [A-Za-z0-9][A-Za-z0-9._:@-]{0,62}')
