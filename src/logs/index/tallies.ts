/**
 * What compaction counted: volume by day, type, node and name; how far each query is on each node; newest snapshots.
 * Kept in parts of JSON, because a row for each node and query would cost more than all the rest (1 $ a million rows).
 */

import type { LineType } from '../line.ts'
import { advance, type Finding, type Observation, type Progress } from '../progress.ts'
import { MAX_PART_BYTES, partOf } from './parts.ts'

export type Volume = [lines: number, bytes: number]

/** A snapshot line: where in time it is, and which. */
export interface SnapshotPlace {
  atMs: number
  eventId: string
}

/** What was counted of one node, by name. */
export interface NodeTallies {
  volumes: Record<string, Volume>
  runs: Record<string, Observation[]>
  latest: Record<string, SnapshotPlace>
}

/** What was counted of the lines of one object. */
export interface Tallies {
  day: string
  type: LineType
  /** Each node's as JSON of NodeTallies: objects of many nodes would take several times the memory. */
  nodes: [nodeId: string, tallies: string][]
}

type NodesOfPart = [nodeId: string, tallies: NodeTallies][]

/** By node, then by name. */
type PartOf<T> = Record<string, Record<string, T>>

/** The part of `volumes` that has the names' sums over all nodes. */
const SUMS = -1
const NO_NODE = ''
/** Of findings, the newest are kept. */
const MAX_FINDINGS = 100_000

/** Takes up what was counted: call it inside the transaction of the swap. */
export function addTallies(sql: SqlStorage, { day, type, nodes }: Tallies): void {
  const sums = readPart<Volume>(
    sql,
    'SELECT tally AS text FROM volumes WHERE day = ? AND type = ? AND part = ?',
    [day, type, SUMS],
  )
  for (const [part, texts] of Map.groupBy(nodes, ([nodeId]) => partOf(nodeId))) {
    const some: NodesOfPart = texts.map(([nodeId, text]) => [nodeId, JSON.parse(text) as NodeTallies])
    addVolumes(sql, { day, type, part }, some, sums)
    if (type === 'result') addProgress(sql, part, some)
    if (type === 'snapshot') addLatest(sql, part, some)
  }
  writeVolumes(sql, { day, type, part: SUMS }, sums)
  sql.exec('DELETE FROM gaps WHERE id <= (SELECT MAX(id) FROM gaps) - ?', MAX_FINDINGS)
}

interface VolumeKey {
  day: string
  type: LineType
  part: number
}

function addVolumes(sql: SqlStorage, key: VolumeKey, nodes: NodesOfPart, sums: PartOf<Volume>): void {
  const { day, type, part } = key
  const tally = readPart<Volume>(
    sql,
    'SELECT tally AS text FROM volumes WHERE day = ? AND type = ? AND part = ?',
    [day, type, part],
  )
  for (const [nodeId, { volumes }] of nodes) {
    for (const [name, volume] of Object.entries(volumes)) {
      add(tally, nodeId, name, volume)
      add(sums, NO_NODE, name, volume)
    }
  }
  writeVolumes(sql, key, tally)
}

function add(tally: PartOf<Volume>, nodeId: string, name: string, [lines, bytes]: Volume): void {
  const names = memberOf(tally, nodeId)
  const [linesBefore, bytesBefore] = Object.hasOwn(names, name) ? (names[name] ?? [0, 0]) : [0, 0]
  put(names, name, [linesBefore + lines, bytesBefore + bytes])
}

function writeVolumes(sql: SqlStorage, { day, type, part }: VolumeKey, tally: PartOf<Volume>): void {
  const text = textOfPart(tally, 'volumes')
  if (text === null) return
  sql.exec(
    'INSERT OR REPLACE INTO volumes (day, type, part, tally) VALUES (?, ?, ?, ?)',
    day,
    type,
    part,
    text,
  )
}

function addProgress(sql: SqlStorage, part: number, nodes: NodesOfPart): void {
  const state = readPart<Progress>(sql, 'SELECT state AS text FROM progress WHERE part = ?', [part])
  for (const [nodeId, { runs }] of nodes) {
    const names = memberOf(state, nodeId)
    for (const [name, observations] of Object.entries(runs)) {
      const known = Object.hasOwn(names, name) ? (names[name] ?? null) : null
      const { progress, findings } = advance(known, observations)
      if (progress !== null) put(names, name, progress)
      for (const finding of findings) noteFinding(sql, nodeId, name, finding)
    }
  }
  const text = textOfPart(state, 'progress')
  if (text !== null) sql.exec('INSERT OR REPLACE INTO progress (part, state) VALUES (?, ?)', part, text)
}

function noteFinding(sql: SqlStorage, nodeId: string, name: string, finding: Finding): void {
  const { kind, epoch, from, to, afterMs, beforeMs } = finding
  if (kind !== 'found') {
    insertFinding(sql, kind, nodeId, name, epoch, from, to, afterMs, beforeMs)
    return
  }
  const gaps = sql
    .exec<{
      id: number
      from_counter: number
      to_counter: number
      after_ms: number | null
      before_ms: number
    }>(
      `SELECT id, from_counter, to_counter, after_ms, before_ms FROM gaps
       WHERE node = ? AND name = ? AND kind = 'gap' AND epoch = ? AND from_counter <= ? AND to_counter >= ?`,
      nodeId,
      name,
      epoch,
      to,
      from,
    )
    .toArray()
  for (const gap of gaps) {
    sql.exec('DELETE FROM gaps WHERE id = ?', gap.id)
    const left = [
      [gap.from_counter, from - 1],
      [to + 1, gap.to_counter],
    ] as const
    for (const [first, last] of left) {
      if (first <= last)
        insertFinding(sql, 'gap', nodeId, name, epoch, first, last, gap.after_ms, gap.before_ms)
    }
  }
}

function insertFinding(sql: SqlStorage, ...values: (string | number | null)[]): void {
  sql.exec(
    `INSERT INTO gaps (kind, node, name, epoch, from_counter, to_counter, after_ms, before_ms)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?)`,
    ...values,
  )
}

function addLatest(sql: SqlStorage, part: number, nodes: NodesOfPart): void {
  const names = new Set(nodes.flatMap(([, { latest }]) => Object.keys(latest)))
  for (const name of names) {
    const [row] = sql
      .exec<{ state: string }>('SELECT state FROM latest WHERE name = ? AND part = ?', name, part)
      .toArray()
    const places = (row === undefined ? {} : JSON.parse(row.state)) as Record<string, SnapshotPlace>
    for (const [nodeId, { latest }] of nodes) {
      const place = Object.hasOwn(latest, name) ? latest[name] : undefined
      const known = places[nodeId]
      if (place !== undefined && (known === undefined || known.atMs <= place.atMs)) places[nodeId] = place
    }
    const text = textOfPart(places, 'latest')
    if (text === null) continue
    sql.exec('INSERT OR REPLACE INTO latest (name, part, state) VALUES (?, ?, ?)', name, part, text)
  }
}

/** Forgets what was counted of a node up to a time; null: of all nodes. */
export function forgetTallies(
  sql: SqlStorage,
  { nodeId, untilMs }: { nodeId: string | null; untilMs: number },
): void {
  const day = new Date(untilMs).toISOString().slice(0, 10)
  if (nodeId === null) {
    sql.exec('DELETE FROM volumes WHERE day <= ?', day)
    for (const table of ['progress', 'gaps', 'latest']) sql.exec(`DELETE FROM ${table}`)
    return
  }
  const part = partOf(nodeId)
  const volumes = sql
    .exec<{ day: string; type: LineType; tally: string }>(
      'SELECT day, type, tally FROM volumes WHERE part = ? AND day <= ?',
      part,
      day,
    )
    .toArray()
  for (const row of volumes) {
    const tally = JSON.parse(row.tally) as PartOf<Volume>
    const gone = tally[nodeId]
    if (gone === undefined) continue
    delete tally[nodeId]
    writeVolumes(sql, { ...row, part }, tally)
    const sums = readPart<Volume>(
      sql,
      'SELECT tally AS text FROM volumes WHERE day = ? AND type = ? AND part = ?',
      [row.day, row.type, SUMS],
    )
    for (const [name, [lines, bytes]] of Object.entries(gone)) add(sums, NO_NODE, name, [-lines, -bytes])
    writeVolumes(sql, { ...row, part: SUMS }, sums)
  }
  forgetNodeState(sql, nodeId, part)
}

/** Forgets volumes of days before a time. */
export function forgetVolumes(sql: SqlStorage, beforeMs: number): void {
  sql.exec('DELETE FROM volumes WHERE day < ?', new Date(beforeMs).toISOString().slice(0, 10))
}

function forgetNodeState(sql: SqlStorage, nodeId: string, part: number): void {
  const progress = readPart<Progress>(sql, 'SELECT state AS text FROM progress WHERE part = ?', [part])
  if (nodeId in progress) {
    delete progress[nodeId]
    sql.exec('UPDATE progress SET state = ? WHERE part = ?', JSON.stringify(progress), part)
  }
  const rows = sql
    .exec<{ name: string; state: string }>('SELECT name, state FROM latest WHERE part = ?', part)
    .toArray()
  for (const { name, state } of rows) {
    const places = JSON.parse(state) as Record<string, SnapshotPlace>
    if (!(nodeId in places)) continue
    delete places[nodeId]
    sql.exec('UPDATE latest SET state = ? WHERE name = ? AND part = ?', JSON.stringify(places), name, part)
  }
  sql.exec('DELETE FROM gaps WHERE node = ?', nodeId)
}

function readPart<T>(sql: SqlStorage, select: string, bindings: readonly (string | number)[]): PartOf<T> {
  const [row] = sql.exec<{ text: string }>(select, ...bindings).toArray()
  return row === undefined ? {} : (JSON.parse(row.text) as PartOf<T>)
}

/** Null, and a log line, where it has become too long for a row: what was there stays as it was. */
function textOfPart(part: object, what: string): string | null {
  const text = JSON.stringify(part)
  if (text.length <= MAX_PART_BYTES) return text
  console.error(JSON.stringify({ event: 'tally-too-long', what, length: text.length }))
  return null
}

function memberOf<T>(part: PartOf<T>, nodeId: string): Record<string, T> {
  return (part[nodeId] ??= {})
}

// Names are agents' texts: one may be `__proto__`.
function put<T>(record: Record<string, T>, name: string, value: T): void {
  Object.defineProperty(record, name, { value, enumerable: true, configurable: true, writable: true })
}
