/** From an operator's change until nodes that poll have it: over several isolates, each with a memory of its own. */

import type { BenchNode } from '../nodes.ts'
import type { BenchServer } from '../server.ts'
import { operator } from './documents.ts'
import { keyBody, keyHeader } from './served.ts'

/** How often each node fetches its configuration here. */
export const REFRESH_MS = 2_000
/** T of the freshness rule (snapshot/fresh-value.ts). */
export const T_MS = 2_000
const ISOLATES = 8

/** When each node first had the new version, in milliseconds after the operator had the answer that it is stored. */
export async function measurePropagation(
  server: BenchServer,
  nodes: readonly BenchNode[],
  times: number,
): Promise<number[]> {
  const base = await server.url('counted')
  const url = new URL('/api/osquery/config', base)
  const seenMs: number[] = []
  let marker = 'before'
  let storedAtMs = Number.POSITIVE_INFINITY
  let isOver = false
  const waiting = new Set<BenchNode>()
  const polling = nodes.map(async (node, index) => {
    await pause(Math.random() * REFRESH_MS)
    while (!isOver) {
      const startedAtMs = performance.now()
      const headers = { ...keyHeader(node), 'x-bench-isolate': String(index % ISOLATES) }
      const reply = await fetch(url, { method: 'POST', body: keyBody(node), headers })
      const text = await reply.text()
      if (waiting.has(node) && text.includes(marker)) {
        waiting.delete(node)
        seenMs.push(Math.max(0, performance.now() - storedAtMs))
      }
      await pause(Math.max(0, REFRESH_MS - (performance.now() - startedAtMs)))
    }
  })
  await pause(REFRESH_MS)
  for (let time = 0; time < times; time += 1) {
    const next = `marker_${time}_${crypto.randomUUID().slice(0, 8)}`
    const document = { schedule: { [next]: { query: 'SELECT 1;', interval: 600 } } }
    const began = operator(server, 'POST', '/configuration/apply', { document, layers: [], message: next })
    for (const node of nodes) waiting.add(node)
    marker = next
    storedAtMs = performance.now()
    await began
    storedAtMs = performance.now()
    const endsAtMs = performance.now() + 30_000
    while (waiting.size > 0 && performance.now() < endsAtMs) await pause(50)
    seenMs.push(...[...waiting].map(() => Number.POSITIVE_INFINITY))
    waiting.clear()
  }
  isOver = true
  await Promise.all(polling)
  return seenMs
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms))
}
