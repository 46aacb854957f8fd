/** Brings to D1 which carve belongs to which request: what an AnswerShard noted of the answers to carve queries. */

import { failRequestedCarve, linkCarve } from '../db/carve-links.ts'
import { Deadline } from '../lib/deadline.ts'
import type { NewAnswer } from './answer.ts'
import type { CarveLinkStore } from './carve-link-store.ts'
import type { ShardStore } from './shard-store.ts'

/** Carve links that one round brings to D1. */
const LINKS_PER_ROUND = 200
/** A D1 that hangs must not keep the shard's alarm; some 5 ms are usual for a link. */
const LINKED_WITHIN_MS = 10_000

/** Notes what an answer to a carve query says. */
export function noteCarves(
  links: CarveLinkStore,
  answer: NewAnswer,
  node: { ordinal: number; nodeId: string },
): void {
  const { number, carves } = answer
  const message =
    answer.message === '' ? 'the agent found nothing to carve, or its carver is off' : answer.message
  links.put({ number, ...node, carves, message })
}

/** Level-triggered, so a failure is only a delay. True: there are more. */
export async function linkCarves(
  db: D1Database,
  { links, queries }: { links: CarveLinkStore; queries: ShardStore },
  environmentId: string,
): Promise<boolean> {
  const deadline = new Deadline(LINKED_WITHIN_MS)
  for (const link of links.some(LINKS_PER_ROUND)) {
    const query = queries.query(link.number)
    const nowMs = Date.now()
    if (query !== null) {
      const request = { environmentId, nodeId: link.nodeId, queryId: query.id }
      if (link.carves.length === 0) {
        await deadline.run(failRequestedCarve(db, { ...request, message: link.message }, nowMs))
      }
      for (const carve of link.carves) await deadline.run(linkCarve(db, { ...request, ...carve }, nowMs))
    }
    links.drop(link.number, link.ordinal)
  }
  return links.some(1).length > 0
}
