/**
 * The only place that makes an agent's reply. osqueryd ignores the status and judges the body alone, so the rules of
 * design section 2 live here: an answer is 200 with a JSON object, everything else is the text `retry`.
 */

import type { AgentOutcome, RetryReason } from './outcome.ts'

/** Says to the guard that this reply was meant by the app (design section 2). */
export const MARKER_HEADER = 'x-osquery-edge'
const OPEN_BRACE = 0x7b
/** The one body that every endpoint of every osquery version treats as "keep it and come back" (design R2). */
export const RETRY_BODY = 'retry'

// Made once, because they are the same for every reply; each Response copies them.
const JSON_REPLY = { headers: headersOf('application/json') }
const TEXT_HEADERS = headersOf('text/plain')

/** Turns an outcome into the bytes that go to the agent. */
export function toResponse(outcome: AgentOutcome): Response {
  switch (outcome.kind) {
    case 'ok':
      return jsonObject(outcome.json)
    case 'node-invalid':
      return jsonObject('{"node_invalid":true}')
    case 'carve-refused':
      // No session_id: the agent gives this carve up at once (spec 2.6), which is what a refusal means.
      return jsonObject('{"error":"refused"}')
    case 'retry':
      return new Response(RETRY_BODY, { status: retryStatus(outcome.reason), headers: TEXT_HEADERS })
  }
}

/** Throws for anything but the text of an object: an empty body or another root would be worse than none (R1). */
function jsonObject(json: string | Uint8Array): Response {
  const first = typeof json === 'string' ? json.charCodeAt(0) : json[0]
  if (first !== OPEN_BRACE) throw new Error('an answer to an agent is a JSON object')
  return new Response(json as string | Uint8Array<ArrayBuffer>, JSON_REPLY)
}

function headersOf(contentType: string): Headers {
  return new Headers({ 'content-type': contentType, 'cache-control': 'no-store', [MARKER_HEADER]: '1' })
}

/** For humans and metrics only: an agent never looks at it (spec 1.4). */
function retryStatus(reason: RetryReason): number {
  switch (reason.kind) {
    case 'bad-request':
    case 'refused-block':
      return 400
    case 'enroll-refused':
    case 'awaits-approval':
      return 403
    case 'unknown-path':
    case 'unknown-session':
      return 404
    case 'method':
      return 405
    case 'too-large':
      return 413
    case 'unavailable':
    case 'overloaded':
    case 'unknown-key-format':
    case 'unknown-environment':
      return 503
  }
}
