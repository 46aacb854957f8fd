/**
 * Finds a node key in a body that is not JSON, so that poison of agents before 5.23.0 - whose key is in the body
 * alone - can still be told from strangers' noise. The key's MAC is checked as always.
 */

import { textOf } from '../lib/bytes.ts'

const KEY_MEMBER = /"node_key"\s*:\s*"([A-Za-z0-9_-]{1,200})"/g

/** The last node key that the bytes name, or "". The last: a line of data may quote an older one. */
export function salvageNodeKey(bytes: Uint8Array): string {
  return [...textOf(bytes).matchAll(KEY_MEMBER)].at(-1)?.[1] ?? ''
}
