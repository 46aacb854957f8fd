/**
 * What osqueryd makes of a reply's body (specification 1.4, 1.5, 1.7).
 * Pure: bytes in, verdict out. The HTTP status is no parameter, because osqueryd never looks at it.
 */
import type { Json, JsonObject } from './json.ts'
import { isJsonObject } from './json.ts'

/** The reply was unusable; `reason` is for people. */
export interface Failed {
  readonly kind: 'failed'
  readonly reason: string
}

/** The reply would have crashed osqueryd: member lookup on a string or number root. */
export interface Crash {
  readonly kind: 'crash'
  readonly reason: string
}

/** Verdict on a reply of config, log, distributed read and distributed write. */
export type EnvelopeVerdict =
  | { readonly kind: 'ok'; readonly reply: JsonObject }
  | { readonly kind: 'node-invalid' }
  | Failed
  | Crash

/** Verdict on a reply of enroll. */
export type EnrollVerdict = { readonly kind: 'ok'; readonly nodeKey: string } | Failed | Crash

/** Verdict on a reply of carve start. `aborted`: well-formed, but no session: osquery >= 5.22.0 gives up at once. */
export type CarveStartVerdict =
  | { readonly kind: 'ok'; readonly sessionId: string }
  | { readonly kind: 'aborted'; readonly reason: string }
  | Failed
  | Crash

/** Verdict on a reply of carve continue: any JSON at all counts as stored. */
export type CarveBlockVerdict = { readonly kind: 'ok' } | Failed

type Parsed = { readonly kind: 'ok'; readonly root: Json } | Failed

// ignoreBOM keeps the byte order mark in the text, where the parser refuses it as rapidjson does.
const decoder = new TextDecoder('utf-8', { ignoreBOM: true, fatal: false })

/** `node_invalid` as releases before 3.2.0 wrote and read booleans. */
const TEXTUAL_TRUTH: readonly unknown[] = ['1', 'true', 'True']

/**
 * Judges the common envelope: `node_invalid` before `error`, an `error` key of any value is a failure.
 * `readsTexts`: releases before 3.2.0, for which some texts are true, too.
 */
export function judgeEnvelope(body: Uint8Array, readsTexts = false): EnvelopeVerdict {
  const root = readRoot(body)
  if (root.kind !== 'ok') return root
  const { node_invalid: isInvalid } = root.object
  if (isInvalid === true || (readsTexts && TEXTUAL_TRUTH.includes(isInvalid))) return { kind: 'node-invalid' }
  if (Object.hasOwn(root.object, 'error'))
    return failed(`the server answered error ${JSON.stringify(root.object.error)}`)
  return { kind: 'ok', reply: root.object }
}

/** Judges enroll: a non-empty string `node_key`, or `id` if `node_key` is absent. Nothing else is looked at. */
export function judgeEnroll(body: Uint8Array): EnrollVerdict {
  const root = readRoot(body)
  if (root.kind !== 'ok') return root
  const key = Object.hasOwn(root.object, 'node_key') ? root.object.node_key : root.object.id
  if (typeof key !== 'string' || key === '') return failed('no node_key in the answer')
  return { kind: 'ok', nodeKey: key }
}

/** Judges carve start: only an unparsable body is worth a retry, see {@link CarveStartVerdict}. */
export function judgeCarveStart(body: Uint8Array): CarveStartVerdict {
  const root = readRoot(body)
  if (root.kind !== 'ok') return root
  const sessionId = root.object.session_id
  if (typeof sessionId !== 'string' || sessionId === '')
    return { kind: 'aborted', reason: 'no session_id in the answer' }
  return { kind: 'ok', sessionId }
}

/** Judges carve continue: whatever parses is "stored", `{"error":…}` too; only non-JSON fails the attempt. */
export function judgeCarveBlock(body: Uint8Array): CarveBlockVerdict {
  const parsed = parseBody(body)
  return parsed.kind === 'ok' ? { kind: 'ok' } : parsed
}

function readRoot(body: Uint8Array): { kind: 'ok'; object: JsonObject } | Failed | Crash {
  const parsed = parseBody(body)
  if (parsed.kind !== 'ok') return parsed
  const { root } = parsed
  if (typeof root === 'string' || typeof root === 'number')
    return { kind: 'crash', reason: `a ${typeof root} as root crashes osqueryd` }
  // An array, null or a boolean happens to work in release builds: an answer without keys.
  return { kind: 'ok', object: isJsonObject(root) ? root : {} }
}

function parseBody(body: Uint8Array): Parsed {
  // An empty body is `{}` for osqueryd, whatever the status: a careless 500 counts as success.
  if (body.byteLength === 0) return { kind: 'ok', root: {} }
  const text = decoder.decode(body)
  try {
    return { kind: 'ok', root: JSON.parse(text) as Json }
  } catch {
    return failed(`not JSON: ${JSON.stringify(text.slice(0, 60))}`)
  }
}

function failed(reason: string): Failed {
  return { kind: 'failed', reason }
}
