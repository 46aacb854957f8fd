/** What Splunk's HTTP Event Collector answers means for the lines that were sent. Pure. */

import { isObject } from '../../lib/json-value.ts'
import { objectOfJson } from './json-object.ts'

export type HecOutcome =
  /** Taken. `ackId`: what to ask for later; null where the token gives none. */
  | { kind: 'accepted'; ackId: number | null }
  /** Not now. */
  | { kind: 'retry'; reason: string }
  /** Too much at once, or one of them is bad: fewer will tell. One alone is refused for good. */
  | { kind: 'split'; reason: string; cause: 'size' | 'content' }
  /** This event (from 0) is bad and nothing is said of the others. */
  | { kind: 'bad-event'; at: number; reason: string }
  /** The sink is set up wrongly, or its rights are gone: no line is at fault. */
  | { kind: 'refused'; reason: string }

type Meaning = 'accepted' | 'retry' | 'bad-data' | 'refused'

/** Every code that HEC has (Splunk: Troubleshoot HTTP Event Collector, "Possible error codes"). */
const CODES: ReadonlyMap<number, readonly [text: string, meaning: Meaning]> = new Map([
  [0, ['Success', 'accepted']],
  [1, ['Token disabled', 'refused']],
  [2, ['Token is required', 'refused']],
  [3, ['Invalid authorization', 'refused']],
  [4, ['Invalid token', 'refused']],
  [5, ['No data', 'bad-data']],
  [6, ['Invalid data format', 'bad-data']],
  // The index is the sink's, the same for all lines.
  [7, ['Incorrect index', 'refused']],
  [8, ['Internal server error', 'retry']],
  [9, ['Server is busy', 'retry']],
  [10, ['Data channel is missing: the token wants acknowledgements', 'refused']],
  [11, ['Invalid data channel', 'refused']],
  [12, ['Event field is required', 'bad-data']],
  [13, ['Event field cannot be blank', 'bad-data']],
  [14, ['ACK is disabled: the token gives no acknowledgements', 'refused']],
  [15, ['Error in handling indexed fields', 'bad-data']],
  [16, ['Query string authorization is not enabled', 'refused']],
  [17, ['HEC is healthy', 'accepted']],
  [18, ['HEC is unhealthy, queues are full', 'retry']],
  [19, ['HEC is unhealthy, ack service unavailable', 'retry']],
  [20, ['HEC is unhealthy, queues are full, ack service unavailable', 'retry']],
  [21, ['Invalid token', 'refused']],
  [22, ['Token disabled', 'refused']],
  [23, ['Server is shutting down', 'retry']],
  // These two come with 200: the events were taken.
  [24, ['HEC queue is approaching its capacity', 'accepted']],
  [25, ['HEC ACK is approaching its capacity', 'accepted']],
  [26, ['HEC queue is at capacity', 'retry']],
  [27, ['HEC ACK channel is at capacity', 'retry']],
] as const)

/** Reads a reply of /services/collector/event. The code decides; where there is none (a proxy speaks), the status. */
export function readHecReply(status: number, body: Uint8Array): HecOutcome {
  const reply = objectOfJson(body)
  const code = reply?.['code']
  const known = typeof code === 'number' ? CODES.get(code) : undefined
  if (known === undefined || reply === null) return outcomeOfStatus(status)
  const [text, meaning] = known
  const reason = `HEC code ${String(code)}: ${text}`
  if (meaning === 'accepted') {
    if (status !== 200) return outcomeOfStatus(status)
    const { ackId } = reply
    return { kind: 'accepted', ackId: typeof ackId === 'number' ? ackId : null }
  }
  if (meaning !== 'bad-data') return { kind: meaning, reason }
  const at = reply['invalid-event-number']
  return typeof at === 'number'
    ? { kind: 'bad-event', at, reason }
    : { kind: 'split', reason, cause: 'content' }
}

/** Which of the acknowledgements asked for have come: `{"acks":{"0":true,"1":false}}`. Null: not such a reply. */
export function readAcks(status: number, body: Uint8Array): ReadonlySet<number> | null {
  const acks = status === 200 ? objectOfJson(body)?.['acks'] : undefined
  if (!isObject(acks)) return null
  return new Set(
    Object.entries(acks)
      .filter(([, isIndexed]) => isIndexed === true)
      .map(([ackId]) => Number(ackId)),
  )
}

function outcomeOfStatus(status: number): HecOutcome {
  const reason = `HTTP status ${status} without a code of HEC`
  if (status === 413)
    return { kind: 'split', reason: 'HTTP status 413: more than its max_content_length', cause: 'size' }
  if (status === 408 || status === 425 || status === 429 || status >= 500) return { kind: 'retry', reason }
  // A 200 that is not HEC's is somebody else's page: nothing was indexed.
  return { kind: 'refused', reason }
}
