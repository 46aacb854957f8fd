/** Reads the bodies of agents' requests, never more than a limit. Content-Type is not looked at (spec 1.1). */

import type { Bytes } from '../lib/bytes.ts'
import { concatBytes, textOf } from '../lib/bytes.ts'
import type { Deadline } from '../lib/deadline.ts'
import { gunzip, looksGzipped } from '../lib/compression.ts'
import { fail, ok, type Result } from '../lib/result.ts'
import { MAX_SMALL_BODY_BYTES } from './constants.ts'
import type { RetryReason } from './outcome.ts'

/** The length that the request announces; null where it announces none. Agents always do (spec 1.1). */
export function announcedBytes(request: Request): number | null {
  const text = request.headers.get('content-length')
  return text !== null && /^\d{1,15}$/.test(text) ? Number(text) : null
}

/** The body whole, as it came. Throws DeadlineExceeded when the agent is too slow. */
export async function readWhole(
  request: Request,
  maxBytes: number,
  deadline: Deadline,
): Promise<Result<Bytes, RetryReason>> {
  const announced = announcedBytes(request)
  if (announced !== null && announced > maxBytes) return fail({ kind: 'too-large', maxBytes })
  if (announced !== null) {
    // HTTP ends such a body at its announced length. A reader would cost a promise and a copy for each chunk: three
    // times as much as all the rest of an idle poll (npm run bench -- floor).
    const bytes = new Uint8Array(await deadline.run(request.arrayBuffer()))
    return bytes.length > maxBytes ? fail({ kind: 'too-large', maxBytes }) : ok(bytes)
  }
  if (request.body === null) return ok(new Uint8Array(0))
  const reader = request.body.getReader()
  const parts: Uint8Array[] = []
  let total = 0
  for (;;) {
    const { done, value } = await deadline.run(reader.read())
    if (done) return ok(concatBytes(parts))
    total += value.length
    if (total > maxBytes) {
      await reader.cancel()
      return fail({ kind: 'too-large', maxBytes })
    }
    parts.push(value)
  }
}

/** A small JSON object, gzip or plain: what enroll, config, distributed read and carve begin send. */
export async function readSmallObject(
  request: Request,
  deadline: Deadline,
  numbers: 'read' | 'as-written' = 'read',
): Promise<Result<Record<string, unknown>, RetryReason>> {
  const whole = await readSmall(request, deadline)
  if (!whole.ok) return whole
  const plain = looksGzipped(whole.value) ? await gunzip(whole.value, MAX_SMALL_BODY_BYTES) : whole
  if (!plain.ok) return fail({ kind: 'bad-request', detail: 'the body is not gzip, or too large inflated' })
  return parseObject(textOf(plain.value), numbers === 'as-written' ? numberAsWritten : undefined)
}

/**
 * A body of announced length is waited for without a limit of its own: nothing is held meanwhile, and the routes give the
 * whole request up at the same time.
 */
function readSmall(request: Request, deadline: Deadline): Promise<Result<Bytes, RetryReason>> {
  const announced = announcedBytes(request)
  return announced === null || announced > MAX_SMALL_BODY_BYTES
    ? readWhole(request, MAX_SMALL_BODY_BYTES, deadline)
    : request.arrayBuffer().then((buffer) => ok(new Uint8Array(buffer)))
}

/** Keeps a number's digits as a text: more of them than a number holds would be rounded (spec section 2). */
function numberAsWritten(_name: string, value: unknown, context?: { source?: string }): unknown {
  return typeof value === 'number' ? (context?.source ?? String(value)) : value
}

function parseObject(
  text: string,
  reviver: ((name: string, value: unknown) => unknown) | undefined,
): Result<Record<string, unknown>, RetryReason> {
  let value: unknown
  try {
    value = JSON.parse(text, reviver)
  } catch {
    return fail({ kind: 'bad-request', detail: 'the body is not JSON' })
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    return fail({ kind: 'bad-request', detail: 'the body is not a JSON object' })
  }
  return ok(value as Record<string, unknown>)
}

/** A member that should be a text: a number is taken as its digits (shapes differ by version, spec section 10). */
export function textMember(object: Record<string, unknown>, name: string): string {
  const value = object[name]
  return typeof value === 'string' ? value : typeof value === 'number' ? String(value) : ''
}

/** A member that should be a whole number, as number or digits (before 3.2.0: digits); null where it is neither. */
export function integerMember(object: Record<string, unknown>, name: string): number | null {
  const value = object[name]
  const number = typeof value === 'string' && /^\d{1,15}$/.test(value) ? Number(value) : value
  return typeof number === 'number' && Number.isSafeInteger(number) ? number : null
}
