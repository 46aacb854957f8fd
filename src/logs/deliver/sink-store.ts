/** What a Sink object keeps: its definition, its cursors, its health. Each is one row of JSON, held in memory too. */

import { NEW_HEALTH, type Health } from './health.ts'
import type { SinkConfig } from './sink-config.ts'
import { LIVE_TRACK, type Track } from './track.ts'

export const SINK_SCHEMA = [
  `CREATE TABLE definition (id INTEGER PRIMARY KEY CHECK (id = 1), config TEXT NOT NULL, read_ms INTEGER NOT NULL);
   CREATE TABLE health (id INTEGER PRIMARY KEY CHECK (id = 1), health TEXT NOT NULL);
   CREATE TABLE tracks (id TEXT PRIMARY KEY, created_ms INTEGER NOT NULL, track TEXT NOT NULL) WITHOUT ROWID;`,
]
/** Replays that are over and still shown. */
const KEPT_REPLAYS = 20

export class SinkStore {
  readonly #sql: SqlStorage
  #config: SinkConfig | null
  #configReadMs: number
  #health: Health
  readonly #tracks = new Map<string, Track>()

  constructor(sql: SqlStorage) {
    this.#sql = sql
    const [definition] = sql
      .exec<{ config: string; read_ms: number }>('SELECT config, read_ms FROM definition')
      .toArray()
    this.#config = definition === undefined ? null : (JSON.parse(definition.config) as SinkConfig)
    this.#configReadMs = definition?.read_ms ?? 0
    const [health] = sql.exec<{ health: string }>('SELECT health FROM health').toArray()
    this.#health = { ...NEW_HEALTH, ...(health === undefined ? {} : (JSON.parse(health.health) as Health)) }
    for (const { track } of sql.exec<{ track: string }>('SELECT track FROM tracks ORDER BY created_ms, id')) {
      const read = JSON.parse(track) as Track
      this.#tracks.set(read.id, read)
    }
  }

  get config(): SinkConfig | null {
    return this.#config
  }

  /** When the definition was last read from where it is kept. */
  get configReadMs(): number {
    return this.#configReadMs
  }

  get health(): Health {
    return this.#health
  }

  /** In the order in which they were made: `live` first. */
  get tracks(): readonly Track[] {
    return [...this.#tracks.values()]
  }

  track(id: string): Track | null {
    return this.#tracks.get(id) ?? null
  }

  putConfig(config: SinkConfig, readMs: number): void {
    this.#config = config
    this.#configReadMs = readMs
    this.#sql.exec(
      'INSERT OR REPLACE INTO definition (id, config, read_ms) VALUES (1, ?, ?)',
      JSON.stringify(config),
      readMs,
    )
  }

  putHealth(health: Health): void {
    if (JSON.stringify(health) === JSON.stringify(this.#health)) return
    this.#health = health
    this.#sql.exec('INSERT OR REPLACE INTO health (id, health) VALUES (1, ?)', JSON.stringify(health))
  }

  putTrack(track: Track): void {
    this.#tracks.set(track.id, track)
    this.#sql.exec(
      'INSERT OR REPLACE INTO tracks (id, created_ms, track) VALUES (?, ?, ?)',
      track.id,
      track.createdAtMs,
      JSON.stringify(track),
    )
    const over = this.tracks.filter(({ id, status }) => id !== LIVE_TRACK && status !== 'active')
    for (const { id } of over.slice(0, -KEPT_REPLAYS)) this.#forgetTrack(id)
  }

  /** Forgets everything. */
  clear(): void {
    for (const table of ['definition', 'health', 'tracks']) this.#sql.exec(`DELETE FROM ${table}`)
    this.#config = null
    this.#health = NEW_HEALTH
    this.#tracks.clear()
  }

  #forgetTrack(id: string): void {
    this.#tracks.delete(id)
    this.#sql.exec('DELETE FROM tracks WHERE id = ?', id)
  }
}
