/** What comes on top of polling: a live query to everybody, enrolling, a carve. Counted on a few, told for a thousand. */

import type { BenchNode } from '../nodes.ts'
import { openQueries } from '../queries.ts'
import type { Usage } from '../../../src/fleet/prices.ts'
import { OBJECT_GB } from '../../../src/fleet/prices.ts'
import { tallied, type MeterAgents } from './agents.ts'
import type { Tally } from './tally.ts'

export interface Extras {
  /** Of one node's answer to one live query: the read is a poll anyway. */
  answer: Partial<Usage>
  enroll: Partial<Usage>
  /** Of one MiB handed in, in blocks of 256 KiB. */
  carvedMib: Partial<Usage>
}

const CARVE_BYTES = 16 * 1_024 * 1_024
const CARVE_BLOCK_BYTES = 256 * 1_024
const SETTLE_MS = 1_500

export async function extrasOf(agents: MeterAgents, nodes: readonly BenchNode[]): Promise<Extras> {
  const some = nodes.slice(0, 100)
  const [node] = some
  if (node === undefined) throw new Error('there are nodes')
  await agents.take()
  const hosts = 20
  for (let host = 0; host < hosts; host += 1) await agents.enroll(`extra-${host}`)
  const enroll = usageOfTally((await agents.take()).tally, hosts)
  await openQueries(
    agents.server,
    some.map(({ ordinal }) => ordinal),
    1,
    20_000,
  )
  await agents.take()
  // An isolate whose head is younger than the query.
  const options = { isolate: 200_000 }
  for (const one of some) await agents.write(one, await agents.read(one, options), options)
  await pause(SETTLE_MS)
  const answer = usageOfTally((await agents.take()).tally, some.length)
  await agents.carve(node, CARVE_BYTES, CARVE_BLOCK_BYTES)
  await pause(SETTLE_MS)
  const carvedMib = usageOfTally((await agents.take()).tally, CARVE_BYTES / 1_024 ** 2)
  const polls = answer.workerRequests ?? 0
  return { answer: { ...answer, workerRequests: polls / 2 }, enroll, carvedMib }
}

/** What a tally bills, divided. What isolates do by themselves is not part of it. */
export function usageOfTally(tally: Tally, by: number): Partial<Usage> {
  const all = (metric: string) => tallied(tally, '', metric)
  const own = all('do ') - tallied(tally, 'isolate', 'do ')
  return {
    workerRequests: all('requests') / by,
    objectRequests: own / by,
    objectGbSeconds: (all('activeMs') / 1_000 / by) * OBJECT_GB,
    objectRowsRead: all('sql.rowsRead') / by,
    objectRowsWritten: all('sql.rowsWritten') / by,
    d1RowsRead: all('d1.rowsRead') / by,
    d1RowsWritten: all('d1.rowsWritten') / by,
    queueOperations: all('queue.operations') / by,
    r2ClassA: all('r2.a') / by,
    r2ClassB: all('r2.b') / by,
  }
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms))
}
