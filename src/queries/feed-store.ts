/** The SQLite of one Feed: which query it is, and the newest report of each shard. All of it can be asked for again. */

import type { QueryFacts } from '../fleet/query-status.ts'
import type { ShardReport } from './shard-watches.ts'

export const FEED_SCHEMA = [
  `CREATE TABLE watched (id INTEGER PRIMARY KEY CHECK (id = 1), json TEXT NOT NULL);
   CREATE TABLE reports (shard INTEGER PRIMARY KEY, json TEXT NOT NULL);`,
]

/** What a Feed has to know of its query; the operator's request brings it. */
export interface WatchedQuery extends QueryFacts {
  format: 1
  environmentId: string
  queryId: string
  number: number
  shards: number
}

export class FeedStore {
  readonly #sql: SqlStorage

  constructor(sql: SqlStorage) {
    this.#sql = sql
  }

  query(): WatchedQuery | null {
    const [row] = this.#sql.exec<{ json: string }>('SELECT json FROM watched').toArray()
    return row === undefined ? null : (JSON.parse(row.json) as WatchedQuery)
  }

  putQuery(query: WatchedQuery): void {
    this.#sql.exec('INSERT OR REPLACE INTO watched (id, json) VALUES (1, ?)', JSON.stringify(query))
  }

  reports(): Map<number, ShardReport> {
    const rows = this.#sql.exec<{ shard: number; json: string }>('SELECT shard, json FROM reports').toArray()
    return new Map(rows.map(({ shard, json }) => [shard, JSON.parse(json) as ShardReport]))
  }

  putReport(shard: number, report: ShardReport): void {
    const insert = 'INSERT OR REPLACE INTO reports (shard, json) VALUES (?, ?)'
    this.#sql.exec(insert, shard, JSON.stringify(report))
  }

  forgetAll(): void {
    this.#sql.exec('DELETE FROM watched')
    this.#sql.exec('DELETE FROM reports')
  }
}
