/** What may be shown of where a sink goes: its path and query may be a credential. */

import type { SinkRow } from '../db/sinks.ts'
import { openSecrets, SecretsUnreadable } from '../logs/deliver/sealed-secrets.ts'
import { kindOf } from '../logs/sinks/kinds.ts'

type Held = Record<string, unknown>

/** Scheme, host and port; null where only the secrets say so and they cannot be read any more. */
export async function originOfSink(env: Env, row: SinkRow): Promise<string | null> {
  const settings = JSON.parse(row.settings) as unknown
  const kind = kindOf(row.kind)
  // Most say it in their settings: nothing is to be opened for them.
  const shown = kind?.endpoint(settings, {})
  if (shown?.ok === true) return originOf(shown.value.url)
  const secrets = await heldSecrets(env, row)
  const sealed = secrets === null ? undefined : kind?.endpoint(settings, secrets)
  return sealed?.ok === true ? originOf(sealed.value.url) : null
}

/** The secrets of a sink; null where they cannot be opened any more. */
export async function heldSecrets(
  env: Env,
  { id, secrets, secretNames }: Pick<SinkRow, 'id' | 'secrets' | 'secretNames'>,
): Promise<Held | null> {
  if (secretNames === '[]') return {}
  try {
    return (await openSecrets(env.SIGNING_KEYS, id, secrets)) as Held
  } catch (error) {
    if (error instanceof SecretsUnreadable) return null
    throw error
  }
}

/** Null: not a URL. */
export function originOf(url: string): string | null {
  return URL.parse(url)?.origin ?? null
}
