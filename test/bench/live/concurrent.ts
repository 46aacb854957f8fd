/**
 * 200 queries to one node each and 50 to the whole fleet, opened in the same moment, while the nodes poll at their own
 * interval in real time. Nobody watches: this is what the interval promises.
 */

import type { BenchServer } from '../server.ts'
import { Fleet, pause } from './fleet.ts'
import { rowsOfNode } from './rows.ts'

const SINGLE = 200
const FLEET_WIDE = 50
/** On a machine that is slow, it may take so long until all are opened; then two polls are enough. */
const ENDS_AFTER_MS = 120_000

export interface ConcurrentResult {
  nodes: number
  intervalS: number
  single: number
  fleetWide: number
  /** Requests of operators that failed. */
  errors: number
  /** Replies that said to an agent to come back. */
  retries: number
  /** From the reply to the operator to the read that was offered it; 0 where that came first. */
  pickUpMs: { single: number[]; fleetWide: number[] }
  /** How long operators waited for their query to be opened. */
  openedMs: number[]
  /** (query, node) pairs whose answer is missing or counted twice. */
  miscounted: number
}

export async function runConcurrent(server: BenchServer, short: boolean): Promise<ConcurrentResult> {
  const fleet = await Fleet.make(server, 'concurrent', short ? 50 : 1_000)
  const intervalS = short ? 6 : 60
  const result: ConcurrentResult = {
    nodes: fleet.nodes.length,
    intervalS,
    single: SINGLE,
    fleetWide: FLEET_WIDE,
    errors: 0,
    retries: 0,
    pickUpMs: { single: [], fleetWide: [] },
    openedMs: [],
    miscounted: 0,
  }
  const pickUps = new PickUps(SINGLE + FLEET_WIDE * fleet.nodes.length)
  const polling = poll(fleet, intervalS, pickUps)
  const ids = await open(fleet, result, pickUps)
  await polling
  result.pickUpMs = pickUps.tookMs()
  result.retries = fleet.retries
  for (const id of ids) {
    const { counts } = await fleet.operator.query(id)
    result.miscounted += Math.abs(counts.answered - counts.targeted)
  }
  return result
}

/** Opens them all at once; the ids of those that were. */
async function open(
  { nodes, operator }: Fleet,
  result: ConcurrentResult,
  pickUps: PickUps,
): Promise<string[]> {
  const wanted = [
    ...Array.from({ length: SINGLE }, (_, i) => ({
      note: `single ${i}`,
      targets: { nodes: [nodes[i % nodes.length]?.nodeId] },
    })),
    ...Array.from({ length: FLEET_WIDE }, (_, i) => ({ note: `fleet ${i}`, targets: { all: true } })),
  ]
  const opened = await Promise.all(
    wanted.map(async ({ note, targets }) => {
      const askedAtMs = performance.now()
      try {
        const { id } = await operator.openQuery(targets, 3_600, note)
        pickUps.opened(note)
        result.openedMs.push(performance.now() - askedAtMs)
        return [id]
      } catch (error) {
        console.error(String(error))
        result.errors += 1
        return []
      }
    }),
  )
  return opened.flat()
}

/** Every node at its interval, from any point of it on, until all is picked up. */
async function poll(fleet: Fleet, intervalS: number, pickUps: PickUps): Promise<void> {
  const startedAtMs = performance.now()
  const endsAtMs = startedAtMs + ENDS_AFTER_MS + 2 * intervalS * 1_000
  await Promise.all(
    fleet.nodes.map(async (node) => {
      for (
        let atMs = startedAtMs + Math.random() * intervalS * 1_000;
        atMs < endsAtMs;
        atMs += intervalS * 1_000
      ) {
        while (performance.now() < atMs) {
          if (pickUps.isDone) return
          await pause(Math.max(1, Math.min(500, atMs - performance.now())))
        }
        const offered = await fleet.read(node)
        pickUps.offered(node.ordinal, Object.values(offered))
        const ids = Object.keys(offered)
        if (ids.length > 0) await fleet.write(node, ids, rowsOfNode(node.ordinal, 1))
      }
    }),
  )
}

/** When each query was opened and when each of its nodes was offered it: queries are known by the end of their SQL. */
class PickUps {
  readonly #openedAtMs = new Map<string, number>()
  /** By query and node, the first time each. */
  readonly #offers = new Map<string, { note: string; atMs: number }>()
  readonly #wanted: number

  constructor(wanted: number) {
    this.#wanted = wanted
  }

  get isDone(): boolean {
    return this.#offers.size >= this.#wanted
  }

  opened(note: string): void {
    this.#openedAtMs.set(note, performance.now())
  }

  offered(ordinal: number, statements: readonly string[]): void {
    const atMs = performance.now()
    for (const sql of statements) {
      const note = sql.split(' -- ')[1] ?? ''
      const key = `${note}/${ordinal}`
      if (!this.#offers.has(key)) this.#offers.set(key, { note, atMs })
    }
  }

  tookMs(): { single: number[]; fleetWide: number[] } {
    const took: { single: number[]; fleetWide: number[] } = { single: [], fleetWide: [] }
    for (const { note, atMs } of this.#offers.values()) {
      const tookMs = Math.max(0, atMs - (this.#openedAtMs.get(note) ?? Number.NaN))
      took[note.startsWith('single') ? 'single' : 'fleetWide'].push(tookMs)
    }
    return took
  }
}
