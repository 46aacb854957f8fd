/** The SQLite of one Environment object: named statements with typed rows, nothing else. */

import { NO_BROWNOUT, type BrownoutState } from '../fleet/brownout.ts'
import type { Bytes } from '../lib/bytes.ts'
import { NodeSet } from '../fleet/node-set.ts'
import type { QueryDefinition } from './compile.ts'
import type { EnvironmentHead } from './head.ts'
import { HELD_BACK_SCHEMA } from './held-back.ts'
import { shardOf } from './remaining.ts'
import type { SnapshotFacts } from './safety.ts'

export const ENVIRONMENT_SCHEMA = [
  `CREATE TABLE head (id INTEGER PRIMARY KEY CHECK (id = 1), json TEXT NOT NULL, facts TEXT NOT NULL,
     copied INTEGER NOT NULL);
   CREATE TABLE parts (hash TEXT PRIMARY KEY, bytes BLOB NOT NULL, unused_since_ms INTEGER,
     copied INTEGER NOT NULL DEFAULT 0) WITHOUT ROWID;
   CREATE TABLE queries (number INTEGER PRIMARY KEY, definition TEXT NOT NULL, targets BLOB NOT NULL);
   CREATE TABLE remaining (number INTEGER NOT NULL, shard INTEGER NOT NULL, bits BLOB NOT NULL,
     PRIMARY KEY (number, shard)) WITHOUT ROWID;
   CREATE TABLE carve_targets (number INTEGER PRIMARY KEY, targets BLOB NOT NULL, until_ms INTEGER NOT NULL);
   CREATE TABLE unasked_carves (carve TEXT PRIMARY KEY, day TEXT NOT NULL, bytes INTEGER NOT NULL) WITHOUT ROWID;`,
  `CREATE TABLE watches (number INTEGER PRIMARY KEY, targets BLOB NOT NULL, until_ms INTEGER NOT NULL);`,
  `CREATE TABLE brownout (id INTEGER PRIMARY KEY CHECK (id = 1), json TEXT NOT NULL);`,
  HELD_BACK_SCHEMA,
]

/** An agent may begin a carve long after it answered: it was asleep, or other carves came first (spec 6.2). */
const CARVE_ASKED_FOR_MS = 24 * 3_600_000

/** Parts that no head names any more are kept this long for isolates that still hold the head before. */
const KEEP_UNUSED_PARTS_MS = 10 * 60_000

export class EnvironmentStore {
  readonly #sql: SqlStorage

  constructor(sql: SqlStorage) {
    this.#sql = sql
  }

  head(): { head: EnvironmentHead; facts: SnapshotFacts; copied: boolean } | null {
    const [row] = this.#sql
      .exec<{ json: string; facts: string; copied: number }>('SELECT json, facts, copied FROM head')
      .toArray()
    if (row === undefined) return null
    return {
      head: JSON.parse(row.json) as EnvironmentHead,
      facts: JSON.parse(row.facts) as SnapshotFacts,
      copied: row.copied === 1,
    }
  }

  putHead(head: EnvironmentHead, facts: SnapshotFacts): void {
    const values = [JSON.stringify(head), JSON.stringify(facts)]
    this.#sql.exec('INSERT OR REPLACE INTO head (id, json, facts, copied) VALUES (1, ?, ?, 0)', ...values)
  }

  markCopied(publication: number): void {
    this.#sql.exec(`UPDATE head SET copied = 1 WHERE json_extract(json, '$.publication') = ?`, publication)
  }

  part(hash: string): Bytes | null {
    const [row] = this.#sql
      .exec<{ bytes: ArrayBuffer }>('SELECT bytes FROM parts WHERE hash = ?', hash)
      .toArray()
    return row === undefined ? null : new Uint8Array(row.bytes)
  }

  /** Whether all of these parts are there. */
  hasParts(hashes: readonly string[]): boolean {
    const wanted = [...new Set(hashes)]
    const { found } = this.#sql
      .exec<{ found: number }>(
        'SELECT COUNT(*) AS found FROM parts WHERE hash IN (SELECT value FROM json_each(?))',
        JSON.stringify(wanted),
      )
      .one()
    return found === wanted.length
  }

  putPart(hash: string, bytes: Bytes): void {
    const known = this.#sql.exec('SELECT 1 FROM parts WHERE hash = ?', hash).toArray().length > 0
    if (!known) this.#sql.exec('INSERT INTO parts (hash, bytes) VALUES (?, ?)', hash, bytes)
  }

  /** Of these parts, those that are not in the archive yet. */
  uncopiedParts(hashes: readonly string[]): { hash: string; bytes: Bytes }[] {
    return this.#sql
      .exec<{ hash: string; bytes: ArrayBuffer }>(
        'SELECT hash, bytes FROM parts WHERE copied = 0 AND hash IN (SELECT value FROM json_each(?))',
        JSON.stringify(hashes),
      )
      .toArray()
      .map(({ hash, bytes }) => ({ hash, bytes: new Uint8Array(bytes) }))
  }

  markPartCopied(hash: string): void {
    this.#sql.exec('UPDATE parts SET copied = 1 WHERE hash = ?', hash)
  }

  /** Starts the clock of parts that are not named any more; drops those whose time is over, and returns them. */
  dropUnusedParts(used: ReadonlySet<string>, nowMs: number): string[] {
    const dropped: string[] = []
    const rows = this.#sql
      .exec<{ hash: string; unused_since_ms: number | null }>('SELECT hash, unused_since_ms FROM parts')
      .toArray()
    for (const { hash, unused_since_ms: since } of rows) {
      if (used.has(hash)) {
        if (since !== null) this.#sql.exec('UPDATE parts SET unused_since_ms = NULL WHERE hash = ?', hash)
      } else if (since === null) {
        this.#sql.exec('UPDATE parts SET unused_since_ms = ? WHERE hash = ?', nowMs, hash)
      } else if (nowMs - since > KEEP_UNUSED_PARTS_MS) {
        this.#sql.exec('DELETE FROM parts WHERE hash = ?', hash)
        dropped.push(hash)
      }
    }
    return dropped
  }

  queries(): QueryDefinition[] {
    return this.#sql
      .exec<{ definition: string; targets: ArrayBuffer }>(
        'SELECT definition, targets FROM queries ORDER BY number',
      )
      .toArray()
      .map(({ definition, targets }) => ({
        ...(JSON.parse(definition) as Omit<QueryDefinition, 'targets'>),
        targets: new Uint8Array(targets),
      }))
  }

  /** Makes the open queries exactly these; what was reported of others is dropped. */
  replaceQueries(queries: readonly QueryDefinition[]): void {
    const open = JSON.stringify(queries.map(({ number }) => number))
    const gone = 'number NOT IN (SELECT value FROM json_each(?))'
    this.#sql.exec(`DELETE FROM queries WHERE ${gone}`, open)
    this.#sql.exec(`DELETE FROM remaining WHERE ${gone}`, open)
    for (const { targets, ...definition } of queries) {
      this.#remainToo(definition, targets)
      this.#sql.exec(
        'INSERT OR REPLACE INTO queries (number, definition, targets) VALUES (?, ?, ?)',
        definition.number,
        JSON.stringify(definition),
        targets,
      )
      if (definition.kind === 'carve') {
        const untilMs = definition.expiresAtMs + CARVE_ASKED_FOR_MS
        const insert = 'INSERT OR REPLACE INTO carve_targets (number, targets, until_ms) VALUES (?, ?, ?)'
        this.#sql.exec(insert, definition.number, targets, untilMs)
      }
    }
  }

  /** The targets of carve queries that are open or were not long ago. */
  carveTargets(nowMs: number): Bytes[] {
    this.#sql.exec('DELETE FROM carve_targets WHERE until_ms < ?', nowMs)
    const rows = this.#sql.exec<{ targets: ArrayBuffer }>('SELECT targets FROM carve_targets').toArray()
    return rows.map(({ targets }) => new Uint8Array(targets))
  }

  /** Nodes that became targets since remain: their shards' reports are older than they are. */
  #remainToo({ number, shards }: Omit<QueryDefinition, 'targets'>, targets: Bytes): void {
    const [row] = this.#sql
      .exec<{ targets: ArrayBuffer }>('SELECT targets FROM queries WHERE number = ?', number)
      .toArray()
    if (row === undefined) return
    const added = NodeSet.fromBytes(targets)
    added.deleteAll(NodeSet.fromBytes(new Uint8Array(row.targets)))
    if (added.size === 0) return
    for (const [shard, bits] of this.remaining(number)) {
      const remaining = NodeSet.fromBytes(bits)
      remaining.addAll(added.filter((ordinal) => shardOf(ordinal, shards) === shard))
      this.putRemaining(number, shard, remaining.toBytes())
    }
  }

  putRemaining(number: number, shard: number, bits: Bytes): void {
    this.#sql.exec(
      'INSERT OR REPLACE INTO remaining (number, shard, bits) VALUES (?, ?, ?)',
      number,
      shard,
      bits,
    )
  }

  remaining(number: number): Map<number, Bytes> {
    const rows = this.#sql
      .exec<{ shard: number; bits: ArrayBuffer }>(
        'SELECT shard, bits FROM remaining WHERE number = ?',
        number,
      )
      .toArray()
    return new Map(rows.map(({ shard, bits }) => [shard, new Uint8Array(bits)]))
  }

  /** Watched queries and the nodes they target; those that have lapsed are forgotten. */
  watches(nowMs: number): { number: number; targets: Bytes; untilMs: number }[] {
    this.#sql.exec('DELETE FROM watches WHERE until_ms <= ?', nowMs)
    return this.#sql
      .exec<{ number: number; targets: ArrayBuffer; until_ms: number }>(
        'SELECT * FROM watches ORDER BY number',
      )
      .toArray()
      .map(({ number, targets, until_ms: untilMs }) => ({
        number,
        targets: new Uint8Array(targets),
        untilMs,
      }))
  }

  /** Remembers a watch; its targets outlast the query, because the operator's next one means the same nodes. */
  putWatch(number: number, targets: Bytes, untilMs: number): void {
    const insert = 'INSERT OR REPLACE INTO watches (number, targets, until_ms) VALUES (?, ?, ?)'
    this.#sql.exec(insert, number, targets, untilMs)
  }

  /** What the directory said of brownouts, last. */
  brownout(): BrownoutState {
    const [row] = this.#sql.exec<{ json: string }>('SELECT json FROM brownout').toArray()
    return row === undefined ? NO_BROWNOUT : (JSON.parse(row.json) as BrownoutState)
  }

  putBrownout(state: BrownoutState): void {
    this.#sql.exec('INSERT OR REPLACE INTO brownout (id, json) VALUES (1, ?)', JSON.stringify(state))
  }

  /** Notes a carve that no operator asked for; says what the day comes to with it. Noting it twice counts once. */
  noteUnaskedCarve(carve: string, day: string, bytes: number): { count: number; bytes: number } {
    this.#sql.exec('DELETE FROM unasked_carves WHERE day < ?', day)
    this.#sql.exec(
      'INSERT OR IGNORE INTO unasked_carves (carve, day, bytes) VALUES (?, ?, ?)',
      carve,
      day,
      bytes,
    )
    return this.#sql
      .exec<{ count: number; bytes: number }>(
        'SELECT COUNT(*) AS count, COALESCE(SUM(bytes), 0) AS bytes FROM unasked_carves WHERE day = ?',
        day,
      )
      .one()
  }

  forgetUnaskedCarve(carve: string): void {
    this.#sql.exec('DELETE FROM unasked_carves WHERE carve = ?', carve)
  }
}
