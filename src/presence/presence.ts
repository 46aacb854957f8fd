/**
 * The Presence object: last seen by ordinal, for 65,536 ordinals of one environment. One BLOB row for 4,096 nodes,
 * written through at most once a minute under load; what an eviction loses is less than that (design 4, Presence).
 */

import { DurableObject } from 'cloudflare:workers'
import { NodeSet } from '../fleet/node-set.ts'
import type { Bytes } from '../lib/bytes.ts'
import { applySchema } from '../lib/object-schema.ts'
import { msSince } from '../lib/time.ts'
import { AGENTS_SCHEMA, AgentStore } from './agent-store.ts'
import {
  configurationsSince,
  emptyChunk,
  newestKeyS,
  noteSighting,
  ORDINALS_PER_CHUNK,
  placesSeenSince,
  readLastSeen,
  setNewestKeyS,
} from './chunk.ts'
import { reportClones } from './clone-report.ts'
import { HAND_OVER_SCHEMA, HandOver } from './hand-over.ts'
import { KEY_WATCH_SCHEMA, KeyWatch } from './key-watch.ts'
import type { LastSeen, RideAlong, Sighting } from './kinds.ts'

const SCHEMA = [
  `CREATE TABLE chunks (chunk INTEGER PRIMARY KEY, bytes BLOB NOT NULL);
   CREATE TABLE counters (name TEXT PRIMARY KEY, total INTEGER NOT NULL) WITHOUT ROWID;`,
  `${AGENTS_SCHEMA}
   ${HAND_OVER_SCHEMA}`,
  KEY_WATCH_SCHEMA,
]
/** Under load a chunk is written once in this time. */
const WRITE_EVERY_MS = 60_000
/** Flushes further apart than this are no load: each is written at once, so that a quiet object loses nothing. */
const QUIET_MS = 5_000

export class Presence extends DurableObject<Env> {
  readonly #chunks = new Map<number, { bytes: Bytes; writtenAtMs: number }>()
  #lastFlushMs = Number.NEGATIVE_INFINITY
  /** Counted and not written yet. */
  readonly #counted = new Map<string, number>()
  #countersWrittenAtMs = Number.NEGATIVE_INFINITY

  readonly #agents: AgentStore
  readonly #handOver: HandOver
  readonly #keys: KeyWatch
  #isReporting = false

  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env)
    applySchema(ctx.storage, SCHEMA)
    this.#agents = new AgentStore(ctx.storage.sql)
    this.#handOver = new HandOver(ctx, env.DB, this.#agents)
    this.#keys = new KeyWatch(ctx.storage.sql, {
      newestS: (ordinal) => newestKeyS(this.#chunkOf(ordinal), ordinal),
      setNewest: (ordinal, issuedS) => setNewestKeyS(this.#chunkOf(ordinal), ordinal, issuedS),
    })
  }

  /** Takes one isolate's sightings, counters, and what rode along (nothing from a Worker of before). */
  async flush(
    sightings: readonly Sighting[],
    counters: Readonly<Record<string, number>>,
    rides: readonly RideAlong[] = [],
  ): Promise<void> {
    const nowMs = Date.now()
    // Before the chunks are written: what keys are new goes with them.
    this.#keys.take(rides, Math.floor(nowMs / 1_000))
    this.#note(sightings, counters, nowMs)
    this.ctx.waitUntil(this.#reportClones())
    if (this.#agents.take(rides, Math.floor(nowMs / 1_000))) await this.#handOver.plan()
  }

  /** What fails is tried again with a later flush: machines that share a node go on polling. */
  async #reportClones(): Promise<void> {
    if (this.#isReporting) return
    this.#isReporting = true
    const [environmentId = ''] = (this.ctx.id.name ?? '').split('/')
    try {
      for (const { ordinal, keys } of this.#keys.untold(Math.floor(Date.now() / 1_000))) {
        const verdict = await reportClones(this.env, environmentId, ordinal, { kind: 'two-keys', ...keys })
        this.#keys.told(ordinal, verdict, Math.floor(Date.now() / 1_000))
      }
    } catch (error) {
      console.warn(JSON.stringify({ event: 'clones-not-settled', error: String(error) }))
    } finally {
      this.#isReporting = false
    }
  }

  /** What rode along goes on to D1. */
  override alarm(): Promise<void> {
    return this.#handOver.run()
  }

  /** Forgets where a node (null: any of them) was seen and what version it said: its traces were erased. */
  forgetAgents(ordinal: number | null): void {
    this.#agents.forget(ordinal)
  }

  #note(sightings: readonly Sighting[], counters: Readonly<Record<string, number>>, nowMs: number): void {
    const quiet = msSince(this.#lastFlushMs, nowMs) > QUIET_MS
    this.#lastFlushMs = nowMs
    const touched = new Set<number>()
    for (const sighting of sightings) {
      const chunk = Math.floor(sighting.ordinal / ORDINALS_PER_CHUNK)
      noteSighting(this.#chunk(chunk).bytes, sighting, Math.floor(nowMs / 1_000))
      touched.add(chunk)
    }
    for (const chunk of touched) {
      const held = this.#chunk(chunk)
      if (quiet || msSince(held.writtenAtMs, nowMs) > WRITE_EVERY_MS) {
        this.ctx.storage.sql.exec(
          'INSERT OR REPLACE INTO chunks (chunk, bytes) VALUES (?, ?)',
          chunk,
          held.bytes,
        )
        held.writtenAtMs = nowMs
      }
    }
    for (const [name, count] of Object.entries(counters)) {
      this.#counted.set(name, (this.#counted.get(name) ?? 0) + count)
    }
    if (quiet || msSince(this.#countersWrittenAtMs, nowMs) > WRITE_EVERY_MS) this.#writeCounters(nowMs)
  }

  /** When these ordinals were last seen. */
  lastSeen(ordinals: readonly number[]): LastSeen[] {
    const agents = this.#agents.facts(ordinals)
    return ordinals.map((ordinal) => {
      const seen = readLastSeen(this.#chunk(Math.floor(ordinal / ORDINALS_PER_CHUNK)).bytes, ordinal)
      const agent = agents.get(ordinal)
      return agent === undefined ? seen : { ...seen, agent }
    })
  }

  /** The ordinals that were seen doing anything at or after a time (over 0), as the bytes of a NodeSet. */
  seenSince(atS: number): Bytes {
    const seen = new NodeSet()
    for (const chunk of this.#knownChunks()) {
      for (const place of placesSeenSince(this.#chunk(chunk).bytes, atS))
        seen.add(chunk * ORDINALS_PER_CHUNK + place)
    }
    return seen.toBytes()
  }

  /** By configuration version, who was last served it, at or after a time (over 0), as the bytes of a NodeSet. */
  holders(atS: number): { version: number; bits: Bytes }[] {
    const sets = new Map<number, NodeSet>()
    for (const chunk of this.#knownChunks()) {
      for (const { place, version } of configurationsSince(this.#chunk(chunk).bytes, atS)) {
        const set = sets.get(version) ?? new NodeSet()
        set.add(chunk * ORDINALS_PER_CHUNK + place)
        sets.set(version, set)
      }
    }
    return [...sets].map(([version, set]) => ({ version, bits: set.toBytes() }))
  }

  /** What isolates counted, since ever. */
  counters(): Record<string, number> {
    this.#writeCounters(Date.now())
    const rows = this.ctx.storage.sql.exec<{ name: string; total: number }>(
      'SELECT name, total FROM counters',
    )
    return Object.fromEntries(rows.toArray().map(({ name, total }) => [name, total]))
  }

  #knownChunks(): Set<number> {
    const rows = this.ctx.storage.sql.exec<{ chunk: number }>('SELECT chunk FROM chunks').toArray()
    return new Set([...rows.map((row) => row.chunk), ...this.#chunks.keys()])
  }

  #writeCounters(nowMs: number): void {
    for (const [name, count] of this.#counted) {
      this.ctx.storage.sql.exec(
        'INSERT INTO counters (name, total) VALUES (?1, ?2) ON CONFLICT (name) DO UPDATE SET total = total + ?2',
        name,
        count,
      )
    }
    this.#counted.clear()
    this.#countersWrittenAtMs = nowMs
  }

  #chunkOf(ordinal: number): Bytes {
    return this.#chunk(Math.floor(ordinal / ORDINALS_PER_CHUNK)).bytes
  }

  #chunk(chunk: number): { bytes: Bytes; writtenAtMs: number } {
    let held = this.#chunks.get(chunk)
    if (held === undefined) {
      const [row] = this.ctx.storage.sql
        .exec<{ bytes: ArrayBuffer }>('SELECT bytes FROM chunks WHERE chunk = ?', chunk)
        .toArray()
      const bytes = row === undefined ? emptyChunk() : new Uint8Array(row.bytes)
      held = { bytes, writtenAtMs: row === undefined ? Number.NEGATIVE_INFINITY : Date.now() }
      this.#chunks.set(chunk, held)
    }
    return held
  }
}
