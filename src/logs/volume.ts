/** Lines and bytes by day, from what compaction counted: by query, by node or by type. */

import { Deadline } from '../lib/deadline.ts'
import type { VolumePart, VolumeTally } from './index/tallies-read.ts'
import type { LineType } from './line.ts'

const CALL_WITHIN_MS = 10_000
const DAY_MS = 24 * 60 * 60_000
/** All parts of a day come in so many calls. */
const PARTS_AT_ONCE = 8
const PARTS = 64

export type VolumeGroup = 'query' | 'node' | 'type'

export interface VolumeQuery {
  by: VolumeGroup
  /** UTC days, `yyyy-mm-dd`, both in. */
  fromDay: string
  throughDay: string
  /** Null: all. */
  type: LineType | null
  nodeId: string | null
  name: string | null
  /** Of each day, so many groups; the rest comes as one. */
  top: number
}

export interface VolumeItem {
  day: string
  /** The query's name, the node's id or the type; null: the rest beyond the top. */
  group: string | null
  lines: number
  bytes: number
}

export interface VolumeFound {
  items: VolumeItem[]
  /** Lines received from this time on may not be counted yet; null: all are. */
  countedThroughMs: number | null
}

/** Counts. Throws when the index does not answer. */
export async function readVolume(env: Env, environmentId: string, query: VolumeQuery): Promise<VolumeFound> {
  const index = () => env.ARCHIVE_INDEX.getByName(environmentId)
  const deadline = () => new Deadline(CALL_WITHIN_MS)
  const countedThroughMs = await deadline().run(index().countedThrough())
  const items: VolumeItem[] = []
  if (query.by !== 'node' && query.nodeId === null) {
    const sums = await deadline().run(index().volumeSums(query.fromDay, query.throughDay))
    for (const [day, ofDay] of Map.groupBy(sums, (sum) => sum.day)) {
      const groups = new Groups(query)
      for (const part of ofDay) groups.addPart(part)
      items.push(...groups.items(day))
    }
    return { items, countedThroughMs }
  }
  for (const day of daysOf(query.fromDay, query.throughDay)) {
    const groups = new Groups(query)
    for (let part = 0; part < PARTS; part += PARTS_AT_ONCE) {
      for (const found of await deadline().run(index().volumeParts(day, part, PARTS_AT_ONCE))) {
        groups.addPart(found)
      }
    }
    items.push(...groups.items(day))
  }
  return { items, countedThroughMs }
}

class Groups {
  readonly #query: VolumeQuery
  readonly #groups = new Map<string, { lines: number; bytes: number }>()

  constructor(query: VolumeQuery) {
    this.#query = query
  }

  addPart({ type, tally }: VolumePart): void {
    const { type: wantedType, nodeId: wantedNode } = this.#query
    if (wantedType !== null && type !== wantedType) return
    for (const [nodeId, names] of Object.entries(JSON.parse(tally) as VolumeTally)) {
      if (wantedNode === null || nodeId === wantedNode) this.#addNode(type, nodeId, names)
    }
  }

  #addNode(type: LineType, nodeId: string, names: VolumeTally[string]): void {
    const { by, name: wantedName } = this.#query
    for (const [name, [lines, bytes]] of Object.entries(names)) {
      if (wantedName !== null && name !== wantedName) continue
      const group = by === 'query' ? name : by === 'node' ? nodeId : type
      const known = this.#groups.get(group) ?? { lines: 0, bytes: 0 }
      this.#groups.set(group, { lines: known.lines + lines, bytes: known.bytes + bytes })
    }
  }

  /** The largest first, then the rest as one. */
  items(day: string): VolumeItem[] {
    const sorted = [...this.#groups]
      .map(([group, volume]) => ({ day, group, ...volume }))
      .filter(({ lines }) => lines > 0)
      .sort((a, b) => b.bytes - a.bytes || (a.group < b.group ? -1 : 1))
    const rest = sorted.slice(this.#query.top)
    if (rest.length === 0) return sorted
    return [
      ...sorted.slice(0, this.#query.top),
      {
        day,
        group: null,
        lines: rest.reduce((sum, { lines }) => sum + lines, 0),
        bytes: rest.reduce((sum, { bytes }) => sum + bytes, 0),
      },
    ]
  }
}

function daysOf(fromDay: string, throughDay: string): string[] {
  const days: string[] = []
  for (let ms = Date.parse(fromDay); ms <= Date.parse(throughDay); ms += DAY_MS) {
    days.push(new Date(ms).toISOString().slice(0, 10))
  }
  return days
}
