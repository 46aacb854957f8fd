/** Rules that the settings of several kinds share. */

import { z } from '@hono/zod-openapi'

/** Where a destination answers: an http(s) URL that holds no credentials (they would be shown), query or fragment. */
export const baseUrl = z
  .string()
  .max(2_048)
  .refine((text) => isBaseUrl(text), 'is not an http(s) URL without credentials, query and fragment')
  .openapi({ format: 'uri' })

/** A text that may stand in a header: visible ASCII, no blanks. */
export const headerToken = z
  .string()
  .min(1)
  .max(4_096)
  .regex(/^[\x21-\x7e]+$/, 'has characters that a header may not have')

function isBaseUrl(text: string): boolean {
  if (!URL.canParse(text)) return false
  const { protocol, username, password, search, hash } = new URL(text)
  return ['http:', 'https:'].includes(protocol) && `${username}${password}${search}${hash}` === ''
}

/** A URL below a base: `path` has no slash at its front. */
export function urlBelow(base: string, path: string): string {
  return `${base.replace(/\/+$/, '')}/${path}`
}
