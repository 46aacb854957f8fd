/** What a line of a daily snapshot says: the table's rows, and what operators look nodes up by. Pure. */

import { addressKey, isTellingAddress } from '../lib/ip-address.ts'
import { isObject, objectOfText } from '../lib/json-value.ts'
import { withoutNuls } from './identity.ts'

/** Tables whose one row is a fact of the node; enroll brings them too. */
export const HOST_TABLES = ['os_version', 'system_info', 'osquery_info'] as const
export type HostTable = (typeof HOST_TABLES)[number]
/** Tables whose rows are values that a node was seen with. */
export const TRACE_TABLES = ['interface_addresses', 'logged_in_users'] as const
export type TraceTable = (typeof TRACE_TABLES)[number]
export type SnapshotTable = HostTable | TraceTable

/** Columns that change while the node stays as it is: processes, and hashes of what the server sent itself. */
const RESTLESS: Partial<Record<HostTable, ReadonlySet<string>>> = {
  osquery_info: new Set(['pid', 'start_time', 'watcher', 'config_hash', 'config_valid', 'extensions']),
}
/** A row that is larger is nobody's; osquery's are up to 2 KB. */
const MAX_ROW_CHARACTERS = 16 * 1_024
/** Of one snapshot. */
export const MAX_ROWS = 2_000
/** Of one kind of value that a node has at once: docker hosts have dozens of addresses. */
export const MAX_VALUES = 64
const MAX_USER_CHARACTERS = 128
const NO_MAC = '00:00:00:00:00:00'

/** Entries of utmp that are no person's (utmp(5); osquery names its types so). */
const NO_SESSIONS = new Set([
  'boot_time',
  'runlevel',
  'run_lvl',
  'init',
  'login',
  'dead',
  'old_time',
  'new_time',
])

export type Row = Record<string, string>

export interface SnapshotRows {
  rows: Row[]
  /** Of a snapshot that comes as a line for each row (`logger_snapshot_event_type`): what its lines have in common. */
  partOf: string | null
}

/** A snapshot's rows, all values texts; null where the line is none. */
export function rowsOfSnapshot(line: string): SnapshotRows | null {
  const { snapshot, columns, unixTime } = objectOfText(line) ?? {}
  if (Array.isArray(snapshot)) return { rows: rowsOf(snapshot.slice(0, MAX_ROWS)), partOf: null }
  const rows = rowsOf([columns])
  return rows.length === 0 ? null : { rows, partOf: JSON.stringify(unixTime) }
}

function rowsOf(values: readonly unknown[]): Row[] {
  return values.map(rowOf).filter((row) => row !== null)
}

function rowOf(value: unknown): Row | null {
  if (!isObject(value)) return null
  const columns = Object.entries(value).map(([name, cell]) => [
    withoutNuls(name),
    // `logger_numerics` sends numbers; null is the empty text everywhere else.
    withoutNuls(typeof cell === 'string' ? cell : cell === null ? '' : JSON.stringify(cell)),
  ])
  const row = Object.fromEntries(columns) as Row
  return JSON.stringify(row).length > MAX_ROW_CHARACTERS ? null : row
}

/** Whether two rows of a table say the same of a node. */
export function saysTheSame(table: HostTable, a: Row, b: Row): boolean {
  const names = new Set([...Object.keys(a), ...Object.keys(b)])
  for (const name of names) {
    if ((a[name] ?? '') !== (b[name] ?? '') && RESTLESS[table]?.has(name) !== true) return false
  }
  return true
}

/** A value that nodes are looked up by. */
export interface SeenValue {
  kind: 'interface' | 'mac' | 'user'
  value: string
}

/** The kinds of value that a table is all of. */
export const KINDS_OF: Record<TraceTable, readonly SeenValue['kind'][]> = {
  interface_addresses: ['interface', 'mac'],
  logged_in_users: ['user'],
}

/** The values in a table's rows, each once, sorted. */
export function valuesOf(table: TraceTable, rows: readonly Row[]): SeenValue[] {
  if (table === 'logged_in_users') return some('user', rows.map(userOf))
  return [
    ...some('interface', rows.map(addressOf)),
    ...some(
      'mac',
      rows.map(({ mac = '' }) => macKey(mac)),
    ),
  ]
}

function some(kind: SeenValue['kind'], values: readonly (string | null)[]): SeenValue[] {
  const known = new Set(values.filter((value) => value !== null && value !== ''))
  return [...known]
    .map((value) => ({ kind, value: value ?? '' }))
    .sort((a, b) => (a.value < b.value ? -1 : 1))
    .slice(0, MAX_VALUES)
}

function addressOf({ address = '' }: Row): string | null {
  const key = addressKey(address)
  return key !== null && isTellingAddress(key) ? key : null
}

function userOf({ user = '', type = '' }: Row): string | null {
  return NO_SESSIONS.has(type.toLowerCase()) || user.length > MAX_USER_CHARACTERS ? null : userKey(user)
}

/** MACs are compared in lower case with colons; null where it is none, or says nothing (loopback). */
export function macKey(text: string): string | null {
  const digits = text.trim().toLowerCase().replaceAll(/[:.-]/g, '')
  if (!/^[0-9a-f]{12}$/.test(digits)) return null
  const key = (digits.match(/../g) ?? []).join(':')
  return key === NO_MAC ? null : key
}

/** Names of users are compared in lower case: Windows writes them as they were typed. */
export function userKey(text: string): string {
  return text.trim().toLowerCase()
}
