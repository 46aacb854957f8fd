/** Nodes by what they were seen with: `?ip=`, `?mac=`, `?user=` of lists. */

import { z } from '@hono/zod-openapi'
import type { TraceRange } from '../db/trace-lookup.ts'
import { macKey, userKey } from '../fleet/inventory-snapshot.ts'
import { addressRange, type AddressRange } from '../lib/ip-address.ts'

const MAX_USER_CHARACTERS = 256
/** Larger networks would be a walk through the whole index. */
const MIN_IPV4_PREFIX = 8
const MIN_IPV6_PREFIX = 16

/** An address, or a network in CIDR form, as a range of keys. */
export const addressParameter = z
  .string()
  .transform((text, context): AddressRange => {
    const range = addressRange(text)
    if (range !== null && !isTooLarge(text)) return range
    const message =
      range === null
        ? 'is neither an address nor a network, like 10.1.2.3, 10.1.2.0/24 or 2001:db8::/48'
        : `is a network larger than /${MIN_IPV4_PREFIX} (IPv6: /${MIN_IPV6_PREFIX})`
    context.addIssue({ code: 'custom', message })
    return z.NEVER
  })
  .openapi({
    type: 'string',
    description: 'An address (its own, or where its requests come from), or a network',
  })

function isTooLarge(text: string): boolean {
  const [address = '', prefix] = text.split('/')
  return prefix !== undefined && Number(prefix) < (address.includes(':') ? MIN_IPV6_PREFIX : MIN_IPV4_PREFIX)
}

const macParameter = z
  .string()
  .transform((text, context): string => {
    const key = macKey(text)
    if (key !== null) return key
    context.addIssue({ code: 'custom', message: 'is no MAC, like 02:ab:00:00:00:01' })
    return z.NEVER
  })
  .openapi({ type: 'string', description: 'In any of the usual forms' })

const userParameter = z
  .string()
  .min(1, 'is empty')
  .max(MAX_USER_CHARACTERS, `is longer than ${MAX_USER_CHARACTERS} characters`)
  .openapi({ description: 'Who was logged in when it was last looked at; case does not matter' })

export const lookupParameters = {
  ip: addressParameter.optional(),
  mac: macParameter.optional(),
  user: userParameter.optional(),
}

/** What is looked for, all of it at once. */
export function rangesOf(lookup: {
  ip?: AddressRange | undefined
  mac?: string | undefined
  user?: string | undefined
}): TraceRange[] {
  const { ip, mac, user } = lookup
  return [
    ...(ip === undefined ? [] : [{ kinds: ['public', 'interface'] as const, ...ip }]),
    ...(mac === undefined ? [] : [{ kinds: ['mac'] as const, first: mac, last: mac }]),
    ...(user === undefined ? [] : [{ kinds: ['user'] as const, first: userKey(user), last: userKey(user) }]),
  ]
}
