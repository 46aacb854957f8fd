/** Host names and tags for envelopes: best effort. With D1 away lines go into the archive without them. */

import { findNodeFacts, type NodeFacts } from '../db/node-facts.ts'
import { Deadline } from '../lib/deadline.ts'

/** A new tag or host name is in lines after this at the latest. */
const KNOWN_FOR_MS = 5 * 60_000
const MAX_KNOWN = 10_000
const D1_WITHIN_MS = 3_000

/** Values of one isolate, shared between its batches. */
const known = new Map<string, { facts: NodeFacts; atMs: number }>()

/** The facts of these nodes as far as they can be had: from memory, else by one D1 statement. Never throws. */
export async function nodeFactsOf(
  env: Env,
  nodeIds: Iterable<string>,
): Promise<ReadonlyMap<string, NodeFacts>> {
  const nowMs = Date.now()
  const found = new Map<string, NodeFacts>()
  const missing: string[] = []
  for (const id of new Set(nodeIds)) {
    const entry = known.get(id)
    if (entry !== undefined && nowMs - entry.atMs < KNOWN_FOR_MS) found.set(id, entry.facts)
    else missing.push(id)
  }
  if (missing.length === 0) return found
  try {
    for (const [id, facts] of await new Deadline(D1_WITHIN_MS).run(findNodeFacts(env.DB, missing))) {
      found.set(id, facts)
      if (known.size >= MAX_KNOWN) known.clear()
      known.set(id, { facts, atMs: nowMs })
    }
  } catch (error) {
    console.warn(JSON.stringify({ event: 'node-facts-unknown', error: String(error) }))
  }
  return found
}
