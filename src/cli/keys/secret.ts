/** The secret SIGNING_KEYS as text, and each step of a rotation on it. Pure but for the random bytes. */

import { createHmac, randomBytes } from 'node:crypto'

import { FINGERPRINT_BYTES, FINGERPRINT_LABEL } from '../../agent/signing-keys.ts'
import { CliFailure } from '../failure.ts'

const KEY_BYTES = 32
const HIGHEST_ID = 255

export interface KeySecret {
  /** `k1` … */
  current: string
  /** By id, base64. */
  keys: Readonly<Record<string, string>>
}

/** Throws CliFailure; never says what is in it. */
export function parseSecret(text: string): KeySecret {
  let parsed: unknown
  try {
    parsed = JSON.parse(text)
  } catch {
    throw new CliFailure('The signing keys are not JSON.')
  }
  const { current, keys } = (parsed ?? {}) as { current?: unknown; keys?: unknown }
  const isWhole = typeof current === 'string' && typeof keys === 'object' && keys !== null && current in keys
  if (!isWhole) throw new CliFailure('The signing keys need the members current and keys.')
  for (const [id, key] of Object.entries(keys as Record<string, unknown>)) {
    const isKey = typeof key === 'string' && Buffer.from(key, 'base64').length >= KEY_BYTES
    if (numberOf(id) === null || !isKey)
      throw new CliFailure(
        `The signing key ${id} is not base64 of ${KEY_BYTES} bytes under an id k0 to k255.`,
      )
  }
  return { current, keys: keys as Record<string, string> }
}

export function textOfSecret({ current, keys }: KeySecret): string {
  return JSON.stringify({ current, keys })
}

export function newSecret(): KeySecret {
  return { current: 'k1', keys: { k1: newKey() } }
}

/** With one key more, which signs nothing yet. An id is never used again, so `taken` ones are passed over too. */
export function withKey(secret: KeySecret, taken: readonly string[]): { secret: KeySecret; id: string } {
  const numbers = [...Object.keys(secret.keys), ...taken].map((id) => numberOf(id) ?? 0)
  const next = Math.max(...numbers) + 1
  if (next > HIGHEST_ID) throw new CliFailure(`No key id above k${HIGHEST_ID} can be made.`)
  const id = `k${next}`
  return { id, secret: { ...secret, keys: { ...secret.keys, [id]: newKey() } } }
}

/** With another current key. */
export function switchedTo(secret: KeySecret, id: string): KeySecret {
  if (!(id in secret.keys)) throw new CliFailure(`There is no key ${id}: ${idsOf(secret).join(', ')}.`)
  if (secret.current === id) throw new CliFailure(`${id} is the current key already.`)
  return { ...secret, current: id }
}

/** Without one of its keys, which must not be the current one. */
export function withoutKey(secret: KeySecret, id: string): KeySecret {
  if (!(id in secret.keys)) throw new CliFailure(`There is no key ${id}: ${idsOf(secret).join(', ')}.`)
  if (secret.current === id) throw new CliFailure(`${id} is the current key: switch to another first.`)
  return { ...secret, keys: Object.fromEntries(Object.entries(secret.keys).filter(([name]) => name !== id)) }
}

export function idsOf({ keys }: KeySecret): string[] {
  return Object.keys(keys).sort((a, b) => (numberOf(a) ?? 0) - (numberOf(b) ?? 0))
}

/** What tells a key from others; the server makes the same of what it has. */
export function fingerprintOf({ keys }: KeySecret, id: string): string {
  const key = Buffer.from(keys[id] ?? '', 'base64')
  return createHmac('sha256', key)
    .update(FINGERPRINT_LABEL)
    .digest('hex')
    .slice(0, 2 * FINGERPRINT_BYTES)
}

function newKey(): string {
  return randomBytes(KEY_BYTES).toString('base64')
}

function numberOf(id: string): number | null {
  const digits = /^k(\d{1,3})$/.exec(id)?.[1]
  return digits === undefined || Number(digits) > HIGHEST_ID ? null : Number(digits)
}
