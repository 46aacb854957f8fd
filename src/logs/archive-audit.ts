/** Audit rows as lines of type `audit`. */

import { findAuditRows } from '../db/audit-archive.ts'
import { hexOf, sha256, utf8 } from '../lib/bytes.ts'
import { Deadline } from '../lib/deadline.ts'
import { rfc3339 } from '../lib/time.ts'
import { DEPLOYMENT_ENVIRONMENT_ID } from './archive-object.ts'
import type { ArchiveWriter } from './archive-writer.ts'
import { envelopeOf } from './line.ts'
import { messageName, type AuditMessage } from './message.ts'
import { NOTHING_KNOWN, sourceOf, UNKNOWN_NAME } from './source-facts.ts'
import type { SourceLookup } from './source-lookup.ts'

const D1_WITHIN_MS = 10_000

/** Hands the lines of these audit rows to the writer. Returns a name for them; throws where D1 does not answer. */
export async function archiveAudit(
  env: Env,
  message: AuditMessage,
  lookup: SourceLookup,
  writer: ArchiveWriter,
): Promise<string> {
  const { environmentId, ids } = message
  const sourceId = await messageName(message)
  const rows = await new Deadline(D1_WITHIN_MS).run(findAuditRows(env.DB, ids))
  const owner = environmentId ?? DEPLOYMENT_ENVIRONMENT_ID
  const facts = environmentId === null ? NOTHING_KNOWN : await lookup.factsOf(environmentId, null)
  for (const { id, atMs, actor, action, subject, detail } of rows) {
    const sender = { environmentId: owner, nodeId: null, platform: null, receivedAtMs: atMs }
    const source = sourceOf(sender, facts)
    // The members of GET /audit; what was stored is JSON and goes on as it is.
    const row = JSON.stringify({ id, at: rfc3339(atMs), actor, action, environmentId, subject }).slice(0, -1)
    const line = utf8(`${row},"detail":${detail}}`)
    const eventId = await auditEventId(id)
    const event = { type: 'audit', name: action, ...UNKNOWN_NAME, eventId, index: 0 } as const
    await writer.add(sourceId, source, event, envelopeOf(source, event, line))
  }
  return sourceId
}

/** Hashed, because the index tells ids apart by their first bytes and those of an audit row are its time. */
export async function auditEventId(id: string): Promise<string> {
  return hexOf((await sha256(utf8(`audit\n${id}`))).subarray(0, 16))
}
