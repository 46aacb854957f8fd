/** The inventory's part of nodes' rows, as the log consumer keeps it true. Prepared SQL: it is a hot path of batches. */

import type { InventoryChange, KnownNode } from '../fleet/inventory.ts'
import type { SeenValue } from '../fleet/inventory-snapshot.ts'
import { traceStatements } from './node-traces.ts'
import { NOT_ERASED } from './trace-lookup.ts'

export interface InventoryNode extends KnownNode {
  id: string
  environmentId: string
  ordinal: number
  /** `inventory_at` as it was read: changes are written only where it is still that. */
  readAt: string
}

interface Row {
  id: string
  environment_id: string
  ordinal: number
  hostname: string
  platform: string
  platform_family: string
  osquery_version: string
  host_identifier: string
  identity: string
  hardware_uuid: string
  hardware_serial: string
  hardware_uuid_seen: string
  host_details: string
  enrolled_at: number
  inventory_at: string
  seen: string
  erased_until: number
}

const READ = `SELECT n.id, n.environment_id, n.ordinal, n.hostname, n.platform, n.platform_family, n.osquery_version,
    n.host_identifier, n.identity, n.hardware_uuid, n.hardware_serial, n.hardware_uuid_seen, n.host_details, n.enrolled_at,
    n.inventory_at,
    (SELECT json_group_array(json_array(t.kind, t.value)) FROM node_traces AS t INDEXED BY node_traces_by_node
      WHERE t.environment_id = n.environment_id
      AND t.ordinal = n.ordinal AND t.to_at IS NULL AND t.kind <> 'public' AND ${NOT_ERASED}) AS seen,
    COALESCE((SELECT MAX(e.until_at) FROM trace_erasures AS e WHERE e.environment_id = n.environment_id
      AND e.ordinal IN (-1, n.ordinal)), -1) AS erased_until
  FROM nodes AS n WHERE n.id IN (SELECT value FROM json_each(?1)) AND n.deleted_at IS NULL`

/** These nodes as the inventory has them, in one statement; deleted and unknown ones are left out. */
export async function readInventory(db: D1Database, nodeIds: readonly string[]): Promise<InventoryNode[]> {
  const { results } = await db.prepare(READ).bind(JSON.stringify(nodeIds)).all<Row>()
  return results.map((row) => ({
    id: row.id,
    environmentId: row.environment_id,
    ordinal: row.ordinal,
    readAt: row.inventory_at,
    hostname: row.hostname,
    platform: row.platform,
    platformFamily: row.platform_family,
    osqueryVersion: row.osquery_version,
    hostIdentifier: row.host_identifier,
    identity: row.identity,
    hardwareUuid: row.hardware_uuid,
    hardwareSerial: row.hardware_serial,
    hardwareUuidSeen: row.hardware_uuid_seen,
    hostDetails: JSON.parse(row.host_details) as KnownNode['hostDetails'],
    enrolledAtMs: row.enrolled_at,
    inventoryAtMs: JSON.parse(row.inventory_at) as KnownNode['inventoryAtMs'],
    values: (JSON.parse(row.seen) as [SeenValue['kind'], string][]).map(([kind, value]) => ({ kind, value })),
    erasedUntilMs: row.erased_until,
  }))
}

/** The row as it was read: no other snapshot and no enroll came between. */
const UNCHANGED = `nodes.id = j.value ->> 'id' AND nodes.deleted_at IS NULL AND nodes.inventory_at = j.value ->> 'before'
  AND nodes.enrolled_at = j.value ->> 'enrolledAt'`

// Apart, because a column of an index costs a row written more even where it stays as it is.
const RENAME = `UPDATE nodes SET hostname = j.value ->> 'hostname' FROM json_each(?1) AS j
WHERE ${UNCHANGED} AND j.value ->> 'hostname' IS NOT NULL`

const UPDATE = `UPDATE nodes SET
  platform = COALESCE(j.value ->> 'platform', nodes.platform),
  osquery_version = COALESCE(j.value ->> 'osqueryVersion', nodes.osquery_version),
  hardware_serial = COALESCE(j.value ->> 'hardwareSerial', nodes.hardware_serial),
  host_details = COALESCE(j.value ->> 'hostDetails', nodes.host_details),
  hardware_uuid_seen = COALESCE(j.value ->> 'uuidSeen', nodes.hardware_uuid_seen),
  hardware_uuid_seen_at = CASE WHEN j.value ->> 'uuidSeen' IS NULL THEN nodes.hardware_uuid_seen_at
    WHEN j.value ->> 'uuidSeen' = '' THEN NULL ELSE ?2 END,
  inventory_at = j.value ->> 'after'
FROM json_each(?1) AS j WHERE ${UNCHANGED} RETURNING nodes.id`

export interface NodeChange {
  node: InventoryNode
  change: InventoryChange
}

/**
 * D1 takes a parameter of 2 MB (D1 limits). This many characters are at most three times as many bytes; a node's details
 * alone may be 48 KB.
 */
const MAX_BATCH_CHARACTERS = 512 * 1_024

/**
 * Writes changes, in one batch as long as they fit into one; each node's are all or nothing. Returns the ids of the nodes
 * that had not changed meanwhile.
 */
export async function writeInventory(
  db: D1Database,
  changes: readonly NodeChange[],
  nowMs: number,
): Promise<Set<string>> {
  const written = new Set<string>()
  for (const some of inBatches(changes)) for (const id of await writeBatch(db, some, nowMs)) written.add(id)
  return written
}

interface WrittenChange {
  change: NodeChange
  text: string
}

function inBatches(changes: readonly NodeChange[]): WrittenChange[][] {
  const batches: WrittenChange[][] = []
  let characters = Number.POSITIVE_INFINITY
  for (const change of changes) {
    const text = changeText(change)
    if (characters + text.length > MAX_BATCH_CHARACTERS) {
      batches.push([])
      characters = 0
    }
    batches.at(-1)?.push({ change, text })
    characters += text.length
  }
  return batches
}

async function writeBatch(db: D1Database, batch: readonly WrittenChange[], nowMs: number): Promise<string[]> {
  const text = `[${batch.map((each) => each.text).join(',')}]`
  const changes = batch.map(({ change }) => change)
  const renames = changes.some(({ change }) => change.hostname !== undefined)
  const results = await db.batch<{ id: string }>([
    ...traces(db, changes),
    ...(renames ? [db.prepare(RENAME).bind(text)] : []),
    // Last: it changes what the others look at.
    db.prepare(UPDATE).bind(text, nowMs),
  ])
  return (results.at(-1)?.results ?? []).map(({ id }) => id)
}

function changeText({ node, change }: NodeChange): string {
  return JSON.stringify({
    id: node.id,
    before: node.readAt,
    enrolledAt: node.enrolledAtMs,
    after: JSON.stringify(change.inventoryAtMs),
    hostname: change.hostname,
    platform: change.platform,
    osqueryVersion: change.osqueryVersion,
    hardwareSerial: change.hardwareSerial,
    uuidSeen: change.hardwareUuidSeen,
    hostDetails: change.hostDetails === undefined ? undefined : JSON.stringify(change.hostDetails),
  })
}

function traces(db: D1Database, changes: readonly NodeChange[]): D1PreparedStatement[] {
  return [...Map.groupBy(changes, ({ node }) => node.environmentId)].flatMap(([environmentId, some]) =>
    traceStatements(
      db,
      environmentId,
      some.flatMap(({ node, change: { traces = [] } }) =>
        traces.map((state) => ({ ...state, ordinal: node.ordinal, ifInventoryAt: node.readAt })),
      ),
    ),
  )
}
