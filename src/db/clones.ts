/** What D1 knows of machines that share a node, and what is done about it. No operator asks for it: prepared SQL. */

import { timeOrderedUuid } from '../lib/bytes.ts'
import type { CloneEvidence, ClonePolicy, CloneVerdict, SharedNode } from '../fleet/clones.ts'

/** Who changes what the system changes by itself, in the audit. */
const ACTOR = 'system'

const POLICY = 'SELECT clones FROM environments WHERE id = ?1'
const NODE = `SELECT id, hostname, instance_id AS instanceId, clone_suspected_at AS cloneSuspectedAtMs, clones,
  split_by AS splitBy, split_count AS splitCount, key_minimum_s AS keyMinimumS,
  enroll_secret_id AS secretId, other_secret_id AS otherSecretId
  FROM nodes WHERE environment_id = ?1 AND ordinal = ?2 AND deleted_at IS NULL`
const RAISE = 'UPDATE environments SET revision = revision + 1 WHERE id = ?1 RETURNING revision'
const AUDIT = `INSERT INTO audit (id, at, actor, action, environment_id, subject, detail)
  VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)`
const SPLIT = `UPDATE nodes SET clones = 'split', clones_found_at = ?3, clones_evidence = ?4, split_by = ?5,
  split_count = split_count + 1, key_minimum_s = MAX(key_minimum_s, ?6)
  WHERE environment_id = ?1 AND id = ?2 AND deleted_at IS NULL`
const FLAG = `UPDATE nodes SET clones = COALESCE(clones, 'flagged'), clones_found_at = ?3, clones_evidence = ?4
  WHERE environment_id = ?1 AND id = ?2 AND deleted_at IS NULL`

const USABLE = `SELECT COUNT(*) AS count FROM enroll_secrets WHERE environment_id = ?1 AND id IN (?2, ?3)
  AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > ?4)`

export interface SharedNodeRow extends SharedNode {
  id: string
  hostname: string
}

/** What the environment wants, and the node of this ordinal; null where it is not there (any more). */
export async function readSharedNode(
  db: D1Database,
  environmentId: string,
  ordinal: number,
): Promise<{ policy: ClonePolicy; node: SharedNodeRow } | null> {
  const [policies, nodes] = await db.batch([
    db.prepare(POLICY).bind(environmentId),
    db.prepare(NODE).bind(environmentId, ordinal),
  ])
  const [environment] = (policies?.results ?? []) as { clones: ClonePolicy }[]
  const [row] = (nodes?.results ?? []) as NodeResult[]
  if (environment === undefined || row === undefined) return null
  const { secretId, otherSecretId, ...node } = row
  const canEnroll = await areUsable(db, environmentId, [secretId, otherSecretId], Date.now())
  return { policy: environment.clones, node: { ...node, canEnroll } }
}

type NodeResult = Omit<SharedNodeRow, 'canEnroll'> & { secretId: string | null; otherSecretId: string | null }

/** Whether these secrets still let hosts in. What a Worker of before did not note is taken for one that does. */
async function areUsable(
  db: D1Database,
  environmentId: string,
  ids: readonly (string | null)[],
  nowMs: number,
): Promise<boolean> {
  const [first = null, second = null] = new Set(ids.filter((id) => id !== null))
  if (first === null) return true
  const row = await db.prepare(USABLE).bind(environmentId, first, second, nowMs).first<{ count: number }>()
  return row?.count === (second === null ? 1 : 2)
}

/**
 * Carries out a verdict, with its audit row and its revision in one batch. Returns the revision to make live; null where
 * nothing changed. Doing it twice is harmless.
 */
export async function settleClones(
  db: D1Database,
  environmentId: string,
  { id, hostname }: Pick<SharedNodeRow, 'id' | 'hostname'>,
  verdict: CloneVerdict,
  evidence: CloneEvidence,
  nowMs: number,
): Promise<number | null> {
  if (verdict.kind === 'known') return null
  const told = JSON.stringify(evidence)
  const change =
    verdict.kind === 'split'
      ? db.prepare(SPLIT).bind(environmentId, id, nowMs, told, verdict.by, verdict.keyMinimumS)
      : db.prepare(FLAG).bind(environmentId, id, nowMs, told)
  const action = verdict.kind === 'split' ? 'node.split-clones' : 'node.flag-clones'
  const detail = JSON.stringify({ hostname, evidence, ...verdict })
  const audit = [timeOrderedUuid(nowMs), nowMs, ACTOR, action, environmentId, id, detail]
  const [raised] = await db.batch([
    db.prepare(RAISE).bind(environmentId),
    db.prepare(AUDIT).bind(...audit),
    change,
  ])
  const [row] = (raised?.results ?? []) as { revision: number }[]
  return row?.revision ?? null
}
