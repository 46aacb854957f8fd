/** Brings audit rows on their way into the archive: once a minute, from where the last run left off. */

import { advanceAuditArchived, nextAuditRows } from '../db/audit-archive.ts'
import { Deadline } from '../lib/deadline.ts'
import { encodeMessage } from './message.ts'

/**
 * A row's id is drawn when its request begins and the row is there when its batch is done: at most 20 s for the request
 * (operator/routes.ts) and 30 s for D1 later. Younger rows wait, so that none is passed over.
 */
const SETTLED_AFTER_MS = 90_000
/** Rows of one run; what is beyond waits a minute. */
const MAX_ROWS = 5_000
const ROWS_PER_MESSAGE = 100
/** sendBatch takes 100 messages and 256 KB (Cloudflare Queues limits); ours are about 4 KB each. */
const MESSAGES_AT_ONCE = 50
const CALL_WITHIN_MS = 10_000

/**
 * Enqueues audit rows that are not in the archive yet. One D1 statement when there are none. Throws where D1 or the
 * queue does not answer: the next run begins at the same place, and a row that comes twice is one by its event id.
 */
export async function exportAudit(env: Env, nowMs: number): Promise<void> {
  const deadline = new Deadline(CALL_WITHIN_MS)
  const rows = await deadline.run(nextAuditRows(env.DB, nowMs - SETTLED_AFTER_MS, MAX_ROWS))
  const [first, last] = [rows[0], rows.at(-1)]
  if (first === undefined || last === undefined) return
  const messages: MessageSendRequest[] = []
  for (const [environmentId, some] of Map.groupBy(rows, (row) => row.environmentId)) {
    const ids = some.map(({ id }) => id)
    for (let at = 0; at < ids.length; at += ROWS_PER_MESSAGE) {
      const message = { kind: 'audit', environmentId, ids: ids.slice(at, at + ROWS_PER_MESSAGE) } as const
      messages.push({ body: encodeMessage(message), contentType: 'bytes' })
    }
  }
  for (let at = 0; at < messages.length; at += MESSAGES_AT_ONCE) {
    await deadline.run(env.LOGS.sendBatch(messages.slice(at, at + MESSAGES_AT_ONCE)))
  }
  await deadline.run(advanceAuditArchived(env.DB, first.cursor, last.id))
}
