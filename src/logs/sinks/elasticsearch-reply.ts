/** What Elasticsearch and OpenSearch answer to `_bulk` means for each line that was sent. Pure. */

import { isObject, type JsonObject } from '../../lib/json-value.ts'
import { objectOfJson } from './json-object.ts'

/** What became of one line. */
export type ItemOutcome =
  /** Indexed now, or there already under its id. */
  | { kind: 'delivered' }
  | { kind: 'retry'; reason: string }
  /** Never: its mapping or its size is at odds with the index. */
  | { kind: 'rejected'; reason: string }

export type BulkOutcome =
  /** In the order of the lines. */
  | { kind: 'items'; items: readonly ItemOutcome[] }
  | { kind: 'retry'; reason: string }
  | { kind: 'split'; reason: string; cause: 'size' | 'content' }
  /** The sink is set up wrongly, or its rights are gone: no line is at fault. */
  | { kind: 'refused'; reason: string }

/** Reasons are shown to operators; Elasticsearch's quote the document at length. */
const MAX_REASON_LENGTH = 300

/** Reads a reply to `_bulk` of `count` lines. */
export function readBulkReply(status: number, body: Uint8Array, count: number): BulkOutcome {
  const reply = objectOfJson(body)
  if (status !== 200) return outcomeOfStatus(status, reply)
  const items = reply?.['items']
  if (!Array.isArray(items) || items.length !== count) {
    return { kind: 'refused', reason: 'HTTP status 200, but not the reply of _bulk' }
  }
  const outcomes: ItemOutcome[] = []
  for (const item of items as unknown[]) {
    const result = isObject(item) ? item['create'] : undefined
    const outcome = outcomeOfItem(isObject(result) ? result : {})
    // One look is enough: what is wrong with the sink is wrong for all of its lines.
    if (outcome.kind === 'refused') return outcome
    outcomes.push(outcome)
  }
  return { kind: 'items', items: outcomes }
}

/** 409: our id is there, so an earlier attempt came through whose answer was lost. */
function outcomeOfItem({ status, error }: JsonObject): ItemOutcome | { kind: 'refused'; reason: string } {
  if (status === 200 || status === 201 || status === 409) return { kind: 'delivered' }
  const reason = reasonOf(typeof status === 'number' ? status : 0, error)
  if (typeof status !== 'number' || status === 429 || status >= 500) return { kind: 'retry', reason }
  // A full disk makes indices read-only until there is room; older versions answer 403 then, not 429.
  if (status === 403 && typeOf(error) === 'cluster_block_exception') return { kind: 'retry', reason }
  // No such data stream, or no right to it.
  if (status === 401 || status === 403 || status === 404) return { kind: 'refused', reason }
  return { kind: 'rejected', reason }
}

/** `http.max_content_length` (100 MB) answers 413; a circuit breaker or a full queue 429. */
function outcomeOfStatus(status: number, reply: JsonObject | null): BulkOutcome {
  const reason = reasonOf(status, reply?.['error'])
  if (status === 413) return { kind: 'split', reason, cause: 'size' }
  if (status === 408 || status === 425 || status === 429 || status >= 500) return { kind: 'retry', reason }
  // A body that it cannot read for one line's sake: fewer lines will tell which.
  if (status === 400 && reply !== null) return { kind: 'split', reason, cause: 'content' }
  return { kind: 'refused', reason }
}

function reasonOf(status: number, error: unknown): string {
  if (!isObject(error)) return `HTTP status ${status}`
  const { reason } = error
  const text = `${status} ${typeOf(error)}: ${typeof reason === 'string' ? reason : ''}`
  return text.slice(0, MAX_REASON_LENGTH)
}

function typeOf(error: unknown): string {
  const type = isObject(error) ? error['type'] : undefined
  return typeof type === 'string' ? type : 'error'
}
