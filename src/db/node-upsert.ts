/** The one D1 statement of the agent plane: enroll. Prepared SQL, no ORM (design 7). */

import { normalSerial } from '../fleet/enroll-rules.ts'
import type { EnrollingHost } from '../fleet/identity.ts'
import { fail, ok, type Result } from '../lib/result.ts'
import type { DirectorySecret } from '../snapshot/head.ts'
import { RENEWED_IDENTITY, TARGET, TARGET_PARAMETERS, targetValues } from './enroll-target.ts'
import { namedStatement, type D1Value } from './named-parameters.ts'

export interface EnrolledNode {
  id: string
  ordinal: number
  /** It waits for approval. */
  isPending: boolean
  /** The second that its key is of: not always the present one, see UPSERT. */
  issuedAtS: number
}

/** Who enrolls, with what, where and when. */
export interface Enrollment {
  environmentId: string
  host: EnrollingHost
  secret: DirectorySecret
  nowMs: number
  /** The signing key that its node key will be under: what operators ask before they retire one. */
  signingKeyId?: number
  /** Whether it waits for approval where it is new. */
  awaitsApproval?: boolean
  /** Enrolls of it that were answered without this statement since the last (agent/enroll-damper.ts). */
  damped?: number
}

/** The living node that enrolls, if there is one. */
const NODE_OF_TARGET = `SELECT id FROM nodes
  WHERE environment_id = :environment AND identity = (SELECT identity FROM target) AND deleted_at IS NULL`

// What must hold in D1 for a host to get in: one line each, and its name is the reason of a refusal. They read node
// tables only, because control tables may move to another database (design 3).
const CONDITIONS = {
  // Under whatever policy it was blocked; a block of a machine's own identity is one of what was split from it too.
  blocked: `NOT EXISTS (SELECT 1 FROM blocked_identities WHERE environment_id = :environment AND identity IN
    (SELECT :identity UNION ALL SELECT identity FROM target UNION ALL SELECT value FROM json_each(:otherIdentities)))`,
  quota: `(:quota IS NULL OR EXISTS (${NODE_OF_TARGET}) OR (SELECT apartFrom FROM target) IS NOT NULL
    OR COALESCE((SELECT nodes FROM enroll_admissions WHERE quota_group = :quotaGroup), 0) < :quota)`,
  serial: `(:serialsOf IS NULL
    OR EXISTS (SELECT 1 FROM enroll_serials WHERE secret_id = :serialsOf AND serial = :serial))`,
} as const
export type RefusedBy = keyof typeof CONDITIONS

// A new node gets max(ordinal) + 1 of its environment; tombstones keep their rows, so none is ever reused. The same
// hardware under another instance id is the same node, flagged: a clone, or a lost osquery database.
// Keys of two machines are of different seconds, the newest key is of the machine that the row is of, and no key is
// superseded when it is made: whatever isolates' clocks say.
// Triggers (migration 0022) count the quota and give the tags within this statement.
const UPSERT = `WITH ${TARGET}
INSERT INTO nodes (id, environment_id, ordinal, identity, hostname, platform, platform_family, osquery_version,
  host_identifier, hardware_uuid, hardware_serial, instance_id, host_details, first_enrolled_at, enrolled_at,
  enroll_secret_id, admitted_by, enroll_tags, clone_of, clones, clones_found_at, key_issued_s, signing_key_id, pending_since)
SELECT :id, :environment, (SELECT COALESCE(MAX(ordinal) + 1, 0) FROM nodes WHERE environment_id = :environment),
  target.identity, :hostname, :platform, :platformFamily, :osqueryVersion, :hostIdentifier, :hardwareUuid, :hardwareSerial,
  :instanceId, :hostDetails, :now, :now, :secret, :quotaGroup, :tags,
  target.apartFrom, CASE WHEN target.apartFrom IS NOT NULL THEN 'split' END,
  CASE WHEN target.apartFrom IS NOT NULL THEN :now END, :issuedS, :signingKey,
  CASE WHEN target.apartFrom IS NULL THEN :pendingSince
    ELSE (SELECT o.pending_since FROM nodes AS o WHERE o.id = target.apartFrom) END
FROM target WHERE ${Object.values(CONDITIONS).join('\n  AND ')}
ON CONFLICT (environment_id, identity) WHERE deleted_at IS NULL DO UPDATE SET
  other_secret_id = CASE WHEN instance_id <> excluded.instance_id OR host_identifier <> excluded.host_identifier
    THEN enroll_secret_id ELSE other_secret_id END,
  identity = ${RENEWED_IDENTITY}, damped_enrolls = damped_enrolls + :damped,
  key_issued_s = MAX(excluded.key_issued_s, key_minimum_s,
    key_issued_s + (instance_id <> excluded.instance_id OR host_identifier <> excluded.host_identifier)),
  clone_suspected_at = CASE
    WHEN instance_id <> '' AND excluded.instance_id <> '' AND instance_id <> excluded.instance_id
    THEN excluded.enrolled_at ELSE clone_suspected_at END,
  hostname = excluded.hostname, platform = excluded.platform, platform_family = excluded.platform_family,
  osquery_version = excluded.osquery_version, host_identifier = excluded.host_identifier,
  hardware_uuid = excluded.hardware_uuid, hardware_serial = excluded.hardware_serial,
  instance_id = excluded.instance_id, host_details = excluded.host_details,
  enrolled_at = excluded.enrolled_at, enroll_count = enroll_count + 1,
  enroll_secret_id = excluded.enroll_secret_id, enroll_tags = excluded.enroll_tags,
  signing_key_id = excluded.signing_key_id, archived_at = NULL
RETURNING id, ordinal, key_issued_s AS issuedAtS, pending_since IS NOT NULL AS isPending`

const WHY_REFUSED = `WITH ${TARGET} SELECT ${Object.entries(CONDITIONS)
  .map(([name, condition]) => `${condition} AS ${name}`)
  .join(', ')}`

/** The parameters of both statements, as `:name` in them. */
const PARAMETERS = [
  'id',
  'environment',
  ...TARGET_PARAMETERS,
  'hostname',
  'platform',
  'platformFamily',
  'osqueryVersion',
  'hardwareUuid',
  'hardwareSerial',
  'hostDetails',
  'now',
  'secret',
  'tags',
  'quota',
  'quotaGroup',
  'serialsOf',
  'serial',
  'damped',
  'issuedS',
  'signingKey',
  'pendingSince',
] as const

const upsert = namedStatement(UPSERT, PARAMETERS)
const whyRefused = namedStatement(WHY_REFUSED, PARAMETERS)

function valuesOf(enrollment: Enrollment) {
  const { environmentId, host, secret, nowMs, damped = 0 } = enrollment
  const { id: secretId = null, rules = {} } = secret
  return {
    id: crypto.randomUUID(),
    environment: environmentId,
    ...targetValues(host),
    hostname: host.hostname,
    platform: host.platform,
    platformFamily: host.platformFamily,
    osqueryVersion: host.osqueryVersion,
    hardwareUuid: host.hardwareUuid,
    hardwareSerial: host.hardwareSerial,
    hostDetails: JSON.stringify(host.hostDetails),
    now: nowMs,
    secret: secretId,
    tags: JSON.stringify(rules.tags ?? []),
    quota: rules.quota ?? null,
    quotaGroup: rules.quotaGroup ?? secretId,
    serialsOf: rules.hasSerials === true ? secretId : null,
    serial: normalSerial(host.hardwareSerial),
    damped,
    issuedS: Math.floor(nowMs / 1_000),
    signingKey: enrollment.signingKeyId ?? null,
    pendingSince: enrollment.awaitsApproval === true ? nowMs : null,
  } satisfies Record<(typeof PARAMETERS)[number], D1Value>
}

/**
 * Creates or renews the node of this identity. Idempotent: the same host gets the same id and ordinal. One statement;
 * where that lets nobody in, nothing is changed, and a second one says why.
 */
export async function upsertNode(
  db: D1Database,
  enrollment: Enrollment,
): Promise<Result<EnrolledNode, RefusedBy>> {
  const values = valuesOf(enrollment)
  const node = await upsert.bind(db, values).first<Omit<EnrolledNode, 'isPending'> & { isPending: 0 | 1 }>()
  if (node === null) return fail(await firstBroken(db, values))
  return ok({ ...node, isPending: node.isPending === 1 })
}

async function firstBroken(db: D1Database, values: ReturnType<typeof valuesOf>): Promise<RefusedBy> {
  const held = await whyRefused.bind(db, values).first<Record<RefusedBy, number>>()
  const names = Object.keys(CONDITIONS) as RefusedBy[]
  const [first] = names
  // What broke it may hold again by now: then any name is as good.
  const broken = names.find((name) => held?.[name] === 0) ?? first
  if (broken === undefined) throw new Error('an upsert without conditions returns its row')
  return broken
}
