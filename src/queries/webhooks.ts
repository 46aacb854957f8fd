/**
 * Tells a webhook that a query is over: counts and links, signed as the HTTPS sink signs. At least once, under one id: who
 * gets it twice knows it by `idempotency-key` and `webhook-id`. A failure is tried again for a day.
 */

import { dueWebhooks, noteWebhook } from '../db/query-webhooks.ts'
import type { QueryRow } from '../db/queries.ts'
import { queryCounts, queryStatus } from '../fleet/query-status.ts'
import { utf8, type Bytes } from '../lib/bytes.ts'
import { OutgoingFailed, OutgoingRefused, sendOut } from '../lib/outgoing.ts'
import { rfc3339, rfc3339OrNull } from '../lib/time.ts'
import { signatureHeaders } from '../lib/webhook-signature.ts'
import { openSecrets } from '../logs/deliver/sealed-secrets.ts'
import { readCounts } from './read.ts'

const FORMAT = 1
/** One minute's work; the rest waits for the next. */
const AT_ONCE = 20
const SEND_WITHIN_MS = 10_000
/** A minute, then twice as long each time: 11 tries in 17 hours. */
const FIRST_DELAY_MS = 60_000
const MAX_ATTEMPTS = 11

/** One tick. A failure of one webhook is noted with its query and delays no other. */
export async function tellWebhooks(env: Env, nowMs: number): Promise<void> {
  const due = await dueWebhooks(env.DB, nowMs, AT_ONCE)
  await Promise.all(due.map((row) => tell(env, row, nowMs)))
}

async function tell(env: Env, row: QueryRow, nowMs: number): Promise<void> {
  const error = await failureOf(env, row, nowMs)
  const isLast = row.webhookAttempts + 1 >= MAX_ATTEMPTS
  const delayMs = FIRST_DELAY_MS * 2 ** row.webhookAttempts
  await noteWebhook(env.DB, row.id, {
    deliveredAtMs: error === null ? nowMs : null,
    dueAtMs: error === null || isLast ? null : nowMs + delayMs,
    error,
  })
}

/** Why it was not told, for operators; null: it was. */
async function failureOf(env: Env, row: QueryRow, nowMs: number): Promise<string | null> {
  try {
    const body = await bodyOf(env, row, nowMs)
    const headers = {
      'content-type': 'application/json',
      'user-agent': 'osquery-edge',
      'idempotency-key': row.id,
      ...(await signatureOf(env, row, body, nowMs)),
    }
    const to = { allowedHosts: env.SINK_ALLOWED_HOSTS, timeoutMs: SEND_WITHIN_MS }
    const { status } = await sendOut(row.webhookUrl ?? '', { method: 'POST', headers, body }, to)
    return status >= 200 && status < 300 ? null : `answered ${status}`
  } catch (error) {
    if (error instanceof OutgoingFailed || error instanceof OutgoingRefused) return error.message
    // A shard that is away, or secrets whose key is gone: the message may name storage, so it stays in the log.
    console.error(JSON.stringify({ event: 'webhook-failed', error: String(error) }))
    return 'it could not be made'
  }
}

async function signatureOf(
  env: Env,
  row: QueryRow,
  body: Bytes,
  nowMs: number,
): Promise<Record<string, string>> {
  if (row.webhookSecrets === null) return {}
  const secrets = (await openSecrets(env.SIGNING_KEYS, row.id, row.webhookSecrets)) as { hmacKey: string }
  return signatureHeaders(secrets.hmacKey, row.id, nowMs, body)
}

async function bodyOf(env: Env, row: QueryRow, nowMs: number): Promise<Bytes> {
  const counts = queryCounts(row, await readCounts(env, row.environmentId, row), nowMs)
  const query = `${row.webhookOrigin}/api/v1/environments/${row.environmentId}/queries/${row.id}`
  return utf8(
    JSON.stringify({
      format: FORMAT,
      event: 'query.finished',
      environment: row.environmentId,
      query: {
        id: row.id,
        label: row.label,
        status: queryStatus(row, counts, nowMs),
        createdAt: rfc3339(row.createdAtMs),
        createdBy: row.createdBy,
        closedAt: rfc3339OrNull(row.closedAtMs),
        counts,
      },
      links: {
        query,
        results: `${query}/results`,
        export: `${query}/export`,
        stragglers: `${query}/stragglers`,
      },
    }),
  )
}
