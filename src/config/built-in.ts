/**
 * What the server schedules by itself, beside an operator's configuration: the cost of scheduled queries, and a daily
 * look at the inventory. Entries of the schedule under a prefix that is the server's own; laid over a document when it
 * is compiled, so that no version of an operator holds them. Pure.
 */

import { pointerOf } from '../lib/json-pointer.ts'
import { mergeLayers } from './merge.ts'
import { MAX_INTERVAL_S } from './parser-keys.ts'
import { isObject, objectOfText } from '../lib/json-value.ts'

/** Operators' scheduled queries must not begin with it. */
export const BUILT_IN_PREFIX = 'osquery-edge/'
/** The snapshot that src/costs reads. */
export const COST_QUERY_NAME = `${BUILT_IN_PREFIX}cost`
const INVENTORY_PREFIX = `${BUILT_IN_PREFIX}inventory/`

/** Which of them an environment has, and how often they run. */
export interface BuiltInSettings {
  cost: BuiltInKind | null
  inventory: BuiltInKind | null
}

export interface BuiltInKind {
  intervalS: number
}

export const NO_BUILT_IN: BuiltInSettings = { cost: null, inventory: null }
/**
 * What new environments have. A line of costs is about half a kilobyte for each scheduled query (most of it the query's
 * own text), so four a day with 50 queries are 100 KB for each node, a twelfth of an agent's usual lines. Counters are
 * totals: a longer interval loses no execution, it only tells of it later.
 */
export const DEFAULT_BUILT_IN: BuiltInSettings = {
  cost: { intervalS: 6 * 3_600 },
  inventory: { intervalS: 24 * 3_600 },
}

/**
 * Every column there is: `denylisted` was `blacklisted` before 4.4, `wall_time_ms` came with 5.8, and a column that an
 * agent lacks would fail the whole query. The query's text is among them: it tells versions of a query apart.
 */
const COST_SQL = 'SELECT * FROM osquery_schedule'

/** By table. Columns that agents of all platforms and versions have, or all columns of a single row. */
const INVENTORY_SQL = {
  os_version: 'SELECT * FROM os_version',
  system_info: 'SELECT * FROM system_info',
  osquery_info: 'SELECT * FROM osquery_info',
  interface_addresses:
    'SELECT a.interface, a.address, a.mask, d.mac FROM interface_addresses AS a ' +
    'LEFT JOIN interface_details AS d ON d.interface = a.interface',
  logged_in_users: 'SELECT type, user, tty, host, time FROM logged_in_users',
} as const

export type InventoryTable = keyof typeof INVENTORY_SQL
export const INVENTORY_TABLES = Object.keys(INVENTORY_SQL) as InventoryTable[]

/** The name in the lines of a table's daily snapshot. */
export function inventoryNameOf(table: InventoryTable): string {
  return INVENTORY_PREFIX + table
}

/** The table that a line's name stands for; null where it is none of them. */
export function inventoryTableOf(name: string): InventoryTable | null {
  if (!name.startsWith(INVENTORY_PREFIX)) return null
  const table = name.slice(INVENTORY_PREFIX.length)
  return INVENTORY_TABLES.find((known) => known === table) ?? null
}

export interface BuiltInQuery {
  query: string
  interval: number
  snapshot: true
}

/** The entries of the schedule, by name. */
export function builtInQueries({ cost, inventory }: BuiltInSettings): Map<string, BuiltInQuery> {
  const queries = new Map<string, BuiltInQuery>()
  if (cost !== null)
    queries.set(COST_QUERY_NAME, { query: COST_SQL, interval: cost.intervalS, snapshot: true })
  if (inventory === null) return queries
  for (const table of INVENTORY_TABLES)
    queries.set(inventoryNameOf(table), {
      query: INVENTORY_SQL[table],
      interval: inventory.intervalS,
      snapshot: true,
    })
  return queries
}

/** A document of nothing but the entries: what is laid over others, and what gives their names in log lines. */
export function builtInDocument(settings: BuiltInSettings): string {
  return JSON.stringify({ schedule: Object.fromEntries(builtInQueries(settings)) })
}

/** The document with the entries in it, and their places. As it was where there are none, or it is no object. */
export function withBuiltIn(text: string, settings: BuiltInSettings): { text: string; pointers: string[] } {
  const names = [...builtInQueries(settings).keys()]
  if (names.length === 0 || objectOfText(text) === null) return { text, pointers: [] }
  const layer = { name: 'built-in', document: builtInDocument(settings) }
  return {
    text: mergeLayers(text, [layer]).text,
    pointers: names.map((name) => pointerOf(['schedule', name])),
  }
}

/** Reads what D1 holds. What a newer Worker added, and what makes no sense, is left out. */
export function readBuiltIn(text: string): BuiltInSettings {
  const value: unknown = JSON.parse(text)
  if (!isObject(value)) return NO_BUILT_IN
  return { cost: kindOf(value['cost']), inventory: kindOf(value['inventory']) }
}

function kindOf(value: unknown): BuiltInKind | null {
  if (!isObject(value)) return null
  const { intervalS } = value
  const isInterval = typeof intervalS === 'number' && intervalS >= 1 && intervalS <= MAX_INTERVAL_S
  return isInterval ? { intervalS } : null
}
