/** JSON of others - agents' lines, destinations' replies - as values. Pure. */

import { textOf } from '../../lib/bytes.ts'
import { isObject, type JsonObject } from '../../lib/json-value.ts'

/** What V8 gives a reviver for a primitive: the text it was written as (ECMAScript "JSON.parse source text access"). */
interface RevivedFrom {
  source?: string
}

/**
 * The object that a JSON text is; null where it is none. An integer that a double cannot hold (inodes and hashes of agents
 * with numeric values) becomes a text of its digits rather than another number.
 */
export function objectOfJson(json: Uint8Array): JsonObject | null {
  try {
    const value: unknown = JSON.parse(textOf(json), exactNumber)
    return isObject(value) ? value : null
  } catch {
    // Not JSON: a proxy's page, or a line that the archive took by its brackets and strings alone.
    return null
  }
}

/** The text of a scalar; null for anything else, and for an empty text. */
export function textOfScalar(value: unknown): string | null {
  if (typeof value === 'string') return value === '' ? null : value
  return typeof value === 'number' || typeof value === 'boolean' ? String(value) : null
}

function exactNumber(_key: string, value: unknown, from?: RevivedFrom): unknown {
  if (typeof value !== 'number' || Number.isSafeInteger(value)) return value
  const source = from?.source
  return source !== undefined && /^-?\d+$/.test(source) ? source : value
}
