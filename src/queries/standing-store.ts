/** How the nodes of an AnswerShard stand with a query: who answered, who was offered it. Statements only. */

import type { Standing } from '../fleet/straggler.ts'
import { NodeSet } from '../fleet/node-set.ts'
import { DENYLISTED_MESSAGE } from './arrival-store.ts'

/** `answered`: in any way; `fine`: with success and whole; `failed`: denylisted included; `not-applicable`. */
export type SettledKind = 'answered' | 'fine' | 'failed' | 'not-applicable'

const SETTLED: Record<SettledKind, string> = {
  answered: 'SELECT ordinal FROM answers WHERE number = ?1 AND ordinal BETWEEN ?2 AND ?3',
  fine: `SELECT ordinal FROM answers WHERE number = ?1 AND ordinal BETWEEN ?2 AND ?3
    AND status = 0 AND truncated = 0`,
  failed: 'SELECT ordinal FROM answers WHERE number = ?1 AND ordinal BETWEEN ?2 AND ?3 AND status <> 0',
  'not-applicable': 'SELECT ordinal FROM not_applicable WHERE number = ?1 AND ordinal BETWEEN ?2 AND ?3',
}

const STANDINGS = `SELECT asked.value AS ordinal, COALESCE(offers.tries, settled.tries, answers.tries) AS offers,
    COALESCE(offers.last_offered_at_ms, settled.last_offered_at_ms, answers.last_offered_at_ms) AS lastOfferedAtMs,
    settled.at_ms IS NOT NULL AS notApplicable, answers.status, answers.message, answers.truncated
  FROM json_each(?2) AS asked
  LEFT JOIN not_applicable AS settled ON settled.number = ?1 AND settled.ordinal = asked.value
  LEFT JOIN offers ON offers.number = ?1 AND offers.ordinal = asked.value
  LEFT JOIN answers ON answers.number = ?1 AND answers.ordinal = asked.value`

interface StandingRow extends Record<string, SqlStorageValue> {
  ordinal: number
  offers: number | null
  lastOfferedAtMs: number | null
  notApplicable: number
  status: number | null
  message: string | null
  truncated: number | null
}

/** The ordinals from `first` to `last` that are settled in this way. */
export function settledOrdinals(
  sql: SqlStorage,
  number: number,
  kind: SettledKind,
  range: { first: number; last: number },
): NodeSet {
  const rows = sql.exec<{ ordinal: number }>(SETTLED[kind], number, range.first, range.last).toArray()
  return NodeSet.of(rows.map(({ ordinal }) => ordinal))
}

export function standingsOf(sql: SqlStorage, number: number, ordinals: readonly number[]): Standing[] {
  const rows = sql.exec<StandingRow>(STANDINGS, number, JSON.stringify(ordinals)).toArray()
  return rows.map(({ ordinal, offers, lastOfferedAtMs, notApplicable, status, message, truncated }) => ({
    ordinal,
    offers: offers ?? 0,
    lastOfferedAtMs,
    notApplicable: notApplicable === 1,
    answer:
      status === null
        ? null
        : {
            status,
            message: message ?? '',
            truncated: truncated === 1,
            denylisted: status !== 0 && message === DENYLISTED_MESSAGE,
          },
  }))
}
