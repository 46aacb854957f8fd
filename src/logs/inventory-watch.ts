/**
 * Keeps the inventory true by the daily snapshots that go through the consumer: for a batch one look into D1, and one
 * batch of writes where something changed. What fails is mended by the next snapshots.
 */

import { inventoryTableOf } from '../config/built-in.ts'
import { readInventory, writeInventory, type InventoryNode, type NodeChange } from '../db/inventory.ts'
import { inventoryChange, type NodeSnapshots } from '../fleet/inventory.ts'
import {
  MAX_ROWS,
  rowsOfSnapshot,
  type SnapshotRows,
  type SnapshotTable,
} from '../fleet/inventory-snapshot.ts'
import { textOf } from '../lib/bytes.ts'
import type { LineWatch, WatchedLine } from './line-watch.ts'

/** A docker host with hundreds of addresses comes to some 100 KB. */
const MAX_LINE_BYTES = 256 * 1_024
/** A consumer's batch has a hundred messages, so a hundred nodes. */
const MAX_NODES = 500
/** An enroll or another consumer may come between reading and writing. */
const MAX_TRIES = 3

interface Gathered {
  receivedAtMs: number
  index: number
  content: SnapshotRows
}

export class InventoryWatch implements LineWatch {
  readonly name = 'inventory'
  readonly #db: D1Database
  /** By node id: the newest of each table. */
  readonly #nodes = new Map<string, Partial<Record<SnapshotTable, Gathered>>>()

  constructor(db: D1Database) {
    this.#db = db
  }

  see({ type, name, origin, index, bytes }: WatchedLine): void {
    if (type !== 'snapshot' || bytes.length > MAX_LINE_BYTES) return
    const table = inventoryTableOf(name)
    if (table === null) return
    const { nodeId, receivedAtMs } = origin
    const own = this.#nodes.get(nodeId) ?? {}
    const before = own[table]
    if (before !== undefined && !isNewer({ receivedAtMs, index }, before)) return
    const content = rowsOfSnapshot(textOf(bytes))
    if (content === null || (before === undefined && this.#nodes.size >= MAX_NODES)) return
    own[table] = { receivedAtMs, index, content: joined(before, receivedAtMs, content) }
    this.#nodes.set(nodeId, own)
  }

  async finish(): Promise<void> {
    let waiting = [...this.#nodes.keys()]
    for (let round = 0; round < MAX_TRIES && waiting.length > 0; round += 1) {
      const nowMs = Date.now()
      const known = await readInventory(this.#db, waiting)
      const changes = known.flatMap((node) => this.#changeOf(node, nowMs) ?? [])
      if (changes.length === 0) return
      const written = await writeInventory(this.#db, changes, nowMs)
      waiting = changes.map(({ node }) => node.id).filter((id) => !written.has(id))
    }
    if (waiting.length > 0) console.warn(JSON.stringify({ event: 'inventory-outrun', nodes: waiting.length }))
  }

  #changeOf(node: InventoryNode, nowMs: number): NodeChange | null {
    const gathered = Object.entries(this.#nodes.get(node.id) ?? {})
    const snapshots: NodeSnapshots = Object.fromEntries(
      gathered.map(([table, { receivedAtMs, content }]) => [table, { receivedAtMs, rows: content.rows }]),
    )
    const change = inventoryChange(node, snapshots, nowMs)
    return change === null ? null : { node, change }
  }
}

/** By server time, then by place in the POST: the agent's own clock is a claim. */
function isNewer(a: Pick<Gathered, 'receivedAtMs' | 'index'>, b: Gathered): boolean {
  return a.receivedAtMs === b.receivedAtMs ? a.index > b.index : a.receivedAtMs > b.receivedAtMs
}

/** A snapshot may come as a line for each row: lines of one POST and one run are one snapshot. */
function joined(before: Gathered | undefined, receivedAtMs: number, content: SnapshotRows): SnapshotRows {
  const isMore =
    before !== undefined &&
    content.partOf !== null &&
    before.content.partOf === content.partOf &&
    before.receivedAtMs === receivedAtMs
  if (!isMore || before.content.rows.length >= MAX_ROWS) return isMore ? before.content : content
  before.content.rows.push(...content.rows)
  return before.content
}
