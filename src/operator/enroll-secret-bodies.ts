/** What operators say of an enroll secret, as schemas. */

import { z } from '@hono/zod-openapi'
import type { EnrollSecretChanges } from '../db/enroll-secrets.ts'
import { normalSerial, type SecretRules } from '../fleet/enroll-rules.ts'
import { addressOfKey, addressRange } from '../lib/ip-address.ts'
import { displayName, tagName } from './names.ts'

/** osqueryd reads the secret's file whole; real ones are shorter than this. */
const MAX_SECRET_CHARACTERS = 1_024
const MAX_NOTE_CHARACTERS = 2_000
/** These are in the directory, which every isolate holds. */
const MAX_TAGS = 20
const MAX_PLATFORMS = 20
const MAX_NETWORKS = 100
/** These are not. A body takes 256 KiB. */
const MAX_SERIALS = 10_000
const MAX_SERIAL_CHARACTERS = 128
const MAX_QUOTA = 1_000_000
const MAX_OVERLAP_S = 366 * 86_400

/** A list of what is allowed: at least one, and each once. */
function allowed(item: z.ZodType<string>, most: number) {
  return z
    .array(item)
    .min(1, 'allows nobody: null is everybody')
    .max(most, `has more than ${most}`)
    .transform((items) => [...new Set(items)])
}

const platform = z
  .string()
  .regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/, 'must match [A-Za-z0-9][A-Za-z0-9._-]{0,62}')
  .transform((name) => name.toLowerCase())

const network = z.string().transform((text, context) => {
  const range = addressRange(text)
  const [, prefix] = text.trim().split('/')
  if (range !== null)
    return prefix === undefined ? addressOfKey(range.first) : `${addressOfKey(range.first)}/${prefix}`
  context.addIssue({
    code: 'custom',
    message: 'is no IPv4 or IPv6 address or network (10.0.0.0/8, 2001:db8::/32)',
  })
  return z.NEVER
})

const serial = z
  .string()
  .max(MAX_SERIAL_CHARACTERS, `is longer than ${MAX_SERIAL_CHARACTERS} characters`)
  .transform(normalSerial)
  .refine((text) => text !== '', 'must not be blank')

const endTime = z.iso
  .datetime({ offset: true, error: 'is no time like 2026-12-31T12:00:00Z' })
  .transform((text) => Date.parse(text))
  .refine((ms) => ms > Date.now(), 'is not in the future')
  .openapi({ type: 'string', format: 'date-time' })

const note = z.string().max(MAX_NOTE_CHARACTERS, `is longer than ${MAX_NOTE_CHARACTERS} characters`)

const rules = {
  expiresAt: endTime
    .nullish()
    .openapi({ description: 'From then on it lets nobody in. Server time decides.' }),
  quota: z
    .int()
    .min(1, 'is less than 1')
    .max(MAX_QUOTA, `is more than ${MAX_QUOTA}`)
    .nullish()
    .openapi({ description: 'How many nodes it may let in. A node that is in already passes.' }),
  tags: z
    .array(tagName)
    .max(MAX_TAGS, `has more than ${MAX_TAGS}`)
    .transform((tags) => [...new Set(tags)])
    .nullish()
    .openapi({ description: 'Given to the node when it enrolls.' }),
  platforms: allowed(platform, MAX_PLATFORMS)
    .nullish()
    .openapi({ description: 'Names that osquery gives (ubuntu, darwin), or families (linux).' }),
  cidrs: allowed(network, MAX_NETWORKS)
    .nullish()
    .openapi({ description: 'Networks or addresses that enrolls may come from, as Cloudflare sees them.' }),
  serials: allowed(serial, MAX_SERIALS)
    .nullish()
    .openapi({ description: 'Hardware serials that may enroll; case and blanks around do not matter.' }),
}

/** Trimmed, as agents' texts are at enroll: files end in a newline. */
const text = z
  .string()
  .trim()
  .min(1, 'must not be blank')
  .max(MAX_SECRET_CHARACTERS, `is longer than ${MAX_SECRET_CHARACTERS} characters`)

const origin = {
  secret: text.nullish().openapi({ description: 'A text that agents have already. Left out: one is made.' }),
  secretSha256: z
    .string()
    .regex(/^[0-9a-f]{64}$/i, 'is not 64 hexadecimal digits')
    .transform((hash) => hash.toLowerCase())
    .nullish()
    .openapi({ description: 'Instead of the text, its SHA-256 in UTF-8, without blanks around it.' }),
}

const ONE_ORIGIN = { path: ['secretSha256'], message: 'goes without secret: one of them names the text' }
type Origin = { secret?: string | null | undefined; secretSha256?: string | null | undefined }
const hasOneOrigin = ({ secret, secretSha256 }: Origin) =>
  (secret ?? null) === null || (secretSha256 ?? null) === null

export const secretBody = z
  .strictObject({ name: displayName, note: note.default(''), ...rules, ...origin })
  .refine(hasOneOrigin, ONE_ORIGIN)

/** Members that are not there stay as they are; null takes a rule away. */
export const secretPatch = z
  .strictObject({ name: displayName.optional(), note: note.optional(), ...rules })
  .refine((patch) => Object.keys(patch).length > 0, 'changes nothing')

export const rotateBody = z
  .strictObject({
    overlapSeconds: z
      .int()
      .min(0, 'is less than 0')
      .max(MAX_OVERLAP_S, `is more than ${MAX_OVERLAP_S}`)
      .openapi({ description: 'For how long the old one goes on; 0: it ends now.' }),
    name: displayName.optional(),
    ...origin,
  })
  .refine(hasOneOrigin, ONE_ORIGIN)

export type SecretBody = z.output<typeof secretBody>
export type SecretPatch = z.output<typeof secretPatch>
export type RotateBody = z.output<typeof rotateBody>

/** The rules of a body as they are kept; what is null or empty is no rule. */
export function rulesOf({ quota, tags, platforms, cidrs }: SecretBody): SecretRules {
  return {
    ...(isSaid(quota) ? { quota } : {}),
    ...(isSaid(tags) && tags.length > 0 ? { tags } : {}),
    ...(isSaid(platforms) ? { platforms } : {}),
    ...(isSaid(cidrs) ? { cidrs } : {}),
  }
}

/** A patch as changes. */
export function changesOf(patch: SecretPatch): EnrollSecretChanges {
  const { name, note: noteText, expiresAt, serials, quota, tags, platforms, cidrs } = patch
  const said = Object.entries({ quota, tags: tags?.length === 0 ? null : tags, platforms, cidrs })
  return {
    ...(name === undefined ? {} : { name }),
    ...(noteText === undefined ? {} : { note: noteText }),
    ...(expiresAt === undefined ? {} : { expiresAtMs: expiresAt }),
    ...(serials === undefined ? {} : { serials }),
    rules: Object.fromEntries(said.filter(([, value]) => value !== undefined)),
  }
}

/** What the audit says of rules: serials by number. */
export function notedRules(body: Partial<SecretBody>): Record<string, unknown> {
  const { expiresAt, quota, tags, platforms, cidrs, serials } = body
  const noted = {
    expiresAt: isSaid(expiresAt) ? new Date(expiresAt).toISOString() : expiresAt,
    quota,
    tags,
    platforms,
    cidrs,
    serials: isSaid(serials) ? serials.length : serials,
  }
  return Object.fromEntries(Object.entries(noted).filter(([, value]) => value !== undefined))
}

function isSaid<Value>(value: Value | null | undefined): value is Value {
  return value !== null && value !== undefined
}
