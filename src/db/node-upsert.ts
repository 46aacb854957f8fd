/** The one D1 statement of the agent plane: enroll. Prepared SQL, no ORM (design 7). */

import type { EnrollingHost } from '../fleet/identity.ts'

export interface EnrolledNode {
  id: string
  ordinal: number
}

// A new node gets max(ordinal) + 1 of its environment; tombstones keep their rows, so none is ever reused. The same
// hardware under another instance id is the same node, flagged: a clone, or a lost osquery database.
const UPSERT = `
INSERT INTO nodes (id, environment_id, ordinal, identity, hostname, platform, platform_family, osquery_version,
  host_identifier, hardware_uuid, hardware_serial, instance_id, host_details, first_enrolled_at, enrolled_at)
VALUES (?1, ?2, (SELECT COALESCE(MAX(ordinal) + 1, 0) FROM nodes WHERE environment_id = ?2),
  ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?13)
ON CONFLICT (environment_id, identity) WHERE deleted_at IS NULL DO UPDATE SET
  clone_suspected_at = CASE
    WHEN instance_id <> '' AND excluded.instance_id <> '' AND instance_id <> excluded.instance_id
    THEN excluded.enrolled_at ELSE clone_suspected_at END,
  hostname = excluded.hostname, platform = excluded.platform, platform_family = excluded.platform_family,
  osquery_version = excluded.osquery_version, host_identifier = excluded.host_identifier,
  hardware_uuid = excluded.hardware_uuid, hardware_serial = excluded.hardware_serial,
  instance_id = excluded.instance_id, host_details = excluded.host_details,
  enrolled_at = excluded.enrolled_at, enroll_count = enroll_count + 1
RETURNING id, ordinal`

/** Creates or renews the node of this identity. Idempotent: the same host gets the same id and ordinal. */
export async function upsertNode(
  db: D1Database,
  environmentId: string,
  host: EnrollingHost,
  nowMs: number,
): Promise<EnrolledNode> {
  const node = await db
    .prepare(UPSERT)
    .bind(
      crypto.randomUUID(),
      environmentId,
      host.identity,
      host.hostname,
      host.platform,
      host.platformFamily,
      host.osqueryVersion,
      host.hostIdentifier,
      host.hardwareUuid,
      host.hardwareSerial,
      host.instanceId,
      JSON.stringify(host.hostDetails),
      nowMs,
    )
    .first<EnrolledNode>()
  if (node === null) throw new Error('an upsert returns its row')
  return node
}
