/** Host names for envelopes: best effort. With D1 away lines go into the archive without them. */

import { findHostnames } from '../db/hostnames.ts'
import { Deadline } from '../lib/deadline.ts'

const KNOWN_FOR_MS = 5 * 60_000
const MAX_KNOWN = 10_000
const D1_WITHIN_MS = 3_000

/** Values of one isolate, shared between its batches. */
const known = new Map<string, { hostname: string; atMs: number }>()

/** The host names of these nodes as far as they can be had: from memory, else by one D1 statement. Never throws. */
export async function hostnamesOf(env: Env, nodeIds: Iterable<string>): Promise<ReadonlyMap<string, string>> {
  const nowMs = Date.now()
  const names = new Map<string, string>()
  const missing: string[] = []
  for (const id of new Set(nodeIds)) {
    const entry = known.get(id)
    if (entry !== undefined && nowMs - entry.atMs < KNOWN_FOR_MS) names.set(id, entry.hostname)
    else missing.push(id)
  }
  if (missing.length === 0) return names
  try {
    for (const [id, hostname] of await new Deadline(D1_WITHIN_MS).run(findHostnames(env.DB, missing))) {
      names.set(id, hostname)
      if (known.size >= MAX_KNOWN) known.clear()
      known.set(id, { hostname, atMs: nowMs })
    }
  } catch (error) {
    console.warn(JSON.stringify({ event: 'hostnames-unknown', error: String(error) }))
  }
  return names
}
