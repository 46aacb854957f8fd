/**
 * What a node's daily snapshots change in the inventory: nothing on most days. Who the node is stays with enroll. Pure.
 */

import { hostnameOf, platformOf, type HostDetails } from './identity.ts'
import { BUILT_IN_UUIDS } from './identity-policy.ts'
import {
  HOST_TABLES,
  KINDS_OF,
  saysTheSame,
  TRACE_TABLES,
  valuesOf,
  type Row,
  type SeenValue,
  type SnapshotTable,
} from './inventory-snapshot.ts'

/**
 * A snapshot that comes later than this is not believed where the table was heard of already: days that changed nothing
 * leave no trace, so that an old one that was stuck on its way could not be told from the newest.
 */
export const LATE_AFTER_MS = 12 * 3_600_000

/** The newest snapshot of a table in a batch. */
export interface TableSnapshot {
  rows: readonly Row[]
  /** Server time: the agent's clock is a claim. */
  receivedAtMs: number
}

export type NodeSnapshots = Partial<Record<SnapshotTable, TableSnapshot>>

/** A node as the inventory has it. */
export interface KnownNode {
  hostname: string
  platform: string
  platformFamily: string
  osqueryVersion: string
  hostIdentifier: string
  identity: string
  hardwareUuid: string
  hardwareSerial: string
  hardwareUuidSeen: string
  hostDetails: HostDetails
  enrolledAtMs: number
  /** By table: when the snapshot was received that last changed something. */
  inventoryAtMs: Partial<Record<string, number>>
  /** What it has by now of what it is looked up by. */
  values: readonly SeenValue[]
  /** What was seen until then was erased. */
  erasedUntilMs: number
}

/** What is to be written. A member that is missing stays. */
export interface InventoryChange {
  hostname?: string
  platform?: string
  osqueryVersion?: string
  hardwareSerial?: string
  hostDetails?: HostDetails
  /** Another UUID than enroll brought; empty: the same again. */
  hardwareUuidSeen?: string
  traces?: {
    kinds: SeenValue['kind'][]
    values: (SeenValue & { fromMs: number })[]
    atMs: number
  }[]
  inventoryAtMs: Partial<Record<string, number>>
}

/** Null: the snapshots say nothing new. */
export function inventoryChange(
  node: KnownNode,
  snapshots: NodeSnapshots,
  nowMs: number,
): InventoryChange | null {
  const heard: Partial<Record<string, number>> = {}
  const change: InventoryChange = { inventoryAtMs: {} }
  const details = newDetails(node, snapshots, nowMs, heard)
  if (details !== null) Object.assign(change, factsChanged(node, details), { hostDetails: details })
  const uuid = uuidSeen(node, snapshots, nowMs)
  if (uuid !== node.hardwareUuidSeen) {
    change.hardwareUuidSeen = uuid
    heard['system_info'] = snapshots.system_info?.receivedAtMs ?? 0
  }
  const traces = newTraces(node, snapshots, nowMs, heard)
  if (traces.length > 0) change.traces = traces
  change.inventoryAtMs = { ...node.inventoryAtMs, ...heard }
  return Object.keys(heard).length === 0 ? null : change
}

/** Whether a snapshot is newer than what is known of its table. */
function isNews(
  node: KnownNode,
  table: SnapshotTable,
  { receivedAtMs }: TableSnapshot,
  nowMs: number,
): boolean {
  const knownAtMs = node.inventoryAtMs[table]
  if (receivedAtMs <= node.erasedUntilMs) return false
  if (knownAtMs === undefined) return true
  return receivedAtMs >= knownAtMs && receivedAtMs > nowMs - LATE_AFTER_MS
}

/** The details with the new rows; null where they say the same. Enroll's own are newer than what came before it. */
function newDetails(
  node: KnownNode,
  snapshots: NodeSnapshots,
  nowMs: number,
  heard: Partial<Record<string, number>>,
): HostDetails | null {
  let details: HostDetails | null = null
  for (const table of HOST_TABLES) {
    const snapshot = snapshots[table]
    const [row] = snapshot?.rows ?? []
    if (snapshot === undefined || row === undefined) continue
    if (!isNews(node, table, snapshot, nowMs) || snapshot.receivedAtMs < node.enrolledAtMs) continue
    if (saysTheSame(table, node.hostDetails[table] ?? {}, row)) continue
    details = { ...(details ?? node.hostDetails), [table]: row }
    heard[table] = snapshot.receivedAtMs
  }
  return details
}

/** Columns of the node's row that follow from its details. */
function factsChanged(node: KnownNode, details: HostDetails): Partial<InventoryChange> {
  const { system_info: system = {}, osquery_info: osquery = {} } = details
  const before = node.hostDetails
  const hostname = hostnameOf(details, node.hostIdentifier)
  const platform = platformOf(details, node.platformFamily)
  const version = osquery['version'] ?? ''
  const serial = (system['hardware_serial'] ?? '').trim()
  return {
    ...(hostname === node.hostname ? {} : { hostname }),
    ...(platform === node.platform ? {} : { platform }),
    // Requests tell it too, and sooner: a snapshot counts when it says another than the one before.
    ...(version === '' || version === node.osqueryVersion || version === before['osquery_info']?.['version']
      ? {}
      : { osqueryVersion: version }),
    // Where the serial says which node it is, it is enroll's.
    ...(serial === '' || serial === node.hardwareSerial || node.identity.startsWith('serial:')
      ? {}
      : { hardwareSerial: serial }),
  }
}

/** The UUID that a snapshot says where it is another than enroll's; it is flagged, and enroll decides. */
function uuidSeen(node: KnownNode, { system_info: snapshot }: NodeSnapshots, nowMs: number): string {
  const uuid = (snapshot?.rows[0]?.['uuid'] ?? '').trim().toLowerCase()
  if (snapshot === undefined || uuid === '' || BUILT_IN_UUIDS.includes(uuid)) return node.hardwareUuidSeen
  if (!isNews(node, 'system_info', snapshot, nowMs) || snapshot.receivedAtMs < node.enrolledAtMs)
    return node.hardwareUuidSeen
  return uuid === node.hardwareUuid ? '' : uuid
}

function newTraces(
  node: KnownNode,
  snapshots: NodeSnapshots,
  nowMs: number,
  heard: Partial<Record<string, number>>,
): NonNullable<InventoryChange['traces']> {
  return TRACE_TABLES.flatMap((table) => {
    const snapshot = snapshots[table]
    if (snapshot === undefined || !isNews(node, table, snapshot, nowMs)) return []
    const kinds = [...KINDS_OF[table]]
    const values = valuesOf(table, snapshot.rows)
    const had = node.values.filter(({ kind }) => kinds.includes(kind))
    if (textOf(values) === textOf(had)) return []
    const { receivedAtMs } = snapshot
    heard[table] = receivedAtMs
    return [
      { kinds, values: values.map((value) => ({ ...value, fromMs: receivedAtMs })), atMs: receivedAtMs },
    ]
  })
}

function textOf(values: readonly SeenValue[]): string {
  return values
    .map(({ kind, value }) => `${kind} ${value}`)
    .sort()
    .join('\n')
}
