/**
 * Requests to hosts that operators name (sinks, webhooks). They may reach public hosts only, or what the deployment
 * allows by name (SINK_ALLOWED_HOSTS), over https; an allowed host also over http. A name that resolves to a private
 * address is not seen here: Workers have no resolver, and Cloudflare's edge routes to no private network.
 */

import { concatBytes, type Bytes } from './bytes.ts'
import { isPublicHost, plainHost } from './public-address.ts'
import { fail, ok, type Result } from './result.ts'

/** Redirects within one origin (a load balancer adds a slash); more is a loop. */
const MAX_REDIRECTS = 3
const DEFAULT_REPLY_BYTES = 64 * 1_024
/** Redirects that keep the method and the body (RFC 9110 section 15.4). */
const KEEPING_REDIRECTS = [307, 308]
const OTHER_REDIRECTS = [301, 302, 303]

export interface OutgoingRequest {
  method: 'GET' | 'HEAD' | 'POST' | 'PUT' | 'DELETE'
  headers: Readonly<Record<string, string>> | Headers
  body: Bytes | null
  /** Of the reply's body; what is longer is cut off. */
  maxReplyBytes?: number
}

export interface OutgoingReply {
  status: number
  headers: Headers
  body: Bytes
  /** Whether `body` was cut off. */
  isCut: boolean
}

/** The address is not one that we send to. The message is for operators. */
export class OutgoingRefused extends Error {
  override readonly name = 'OutgoingRefused'
}

/** No whole answer: connection, TLS, or time. The message is for operators and holds no secret. */
export class OutgoingFailed extends Error {
  override readonly name = 'OutgoingFailed'
}

/**
 * The URL, or why it is refused: a rule that operators can read. `allowedHosts`: names or addresses separated by
 * commas, IPv6 in brackets.
 */
export function checkTarget(text: string, allowedHosts: string): Result<URL, string> {
  const url = URL.parse(text)
  if (url === null) return fail('is not a URL')
  if (url.protocol !== 'https:' && url.protocol !== 'http:') return fail('is not an https: URL')
  if (url.username !== '' || url.password !== '') return fail('has a user or password in it: use the secrets')
  if (isAllowed(url.hostname, allowedHosts)) return ok(url)
  if (!isPublicHost(url.hostname))
    return fail('is a private or local address, which this deployment does not allow')
  return url.protocol === 'https:' ? ok(url) : fail('is not an https: URL')
}

/**
 * Sends one request and reads the reply. Follows redirects within the same origin only; another one is given as the
 * reply that it is, so that no secret goes where nobody meant it to. Throws OutgoingRefused and OutgoingFailed.
 */
export async function sendOut(
  text: string,
  request: OutgoingRequest,
  { allowedHosts, timeoutMs }: { allowedHosts: string; timeoutMs: number },
): Promise<OutgoingReply> {
  // AbortSignal.timeout would go on after the answer, and keep a Durable Object in memory (and billed) all the while.
  const controller = new AbortController()
  const timer = setTimeout(() => controller.abort(), timeoutMs)
  try {
    return await sendFollowing(text, request, allowedHosts, controller.signal)
  } catch (error) {
    if (error instanceof OutgoingRefused) throw error
    throw new OutgoingFailed(whyOf(error, controller.signal, timeoutMs))
  } finally {
    clearTimeout(timer)
  }
}

async function sendFollowing(
  text: string,
  request: OutgoingRequest,
  allowedHosts: string,
  signal: AbortSignal,
): Promise<OutgoingReply> {
  let target = text
  for (let redirects = 0; ; redirects += 1) {
    const checked = checkTarget(target, allowedHosts)
    if (!checked.ok) throw new OutgoingRefused(`the address ${checked.reason}`)
    const response = await fetch(checked.value.href, {
      method: request.method,
      headers: new Headers(request.headers),
      body: request.body,
      redirect: 'manual',
      signal,
    })
    const next = redirects < MAX_REDIRECTS ? redirectOf(response, request.method, checked.value) : null
    if (next === null) return await readReply(response, request.maxReplyBytes ?? DEFAULT_REPLY_BYTES)
    await response.body?.cancel()
    target = next
  }
}

/** Where to go on; null where this is the answer. */
function redirectOf(response: Response, method: string, from: URL): string | null {
  const keeps = KEEPING_REDIRECTS.includes(response.status)
  const harmless = OTHER_REDIRECTS.includes(response.status) && (method === 'GET' || method === 'HEAD')
  if (!keeps && !harmless) return null
  const to = URL.parse(response.headers.get('location') ?? '', from.href)
  return to !== null && to.origin === from.origin ? to.href : null
}

async function readReply(response: Response, maxBytes: number): Promise<OutgoingReply> {
  const parts: Uint8Array[] = []
  let total = 0
  const reader = response.body?.getReader()
  while (reader !== undefined && total <= maxBytes) {
    const { done, value } = await reader.read()
    if (done) break
    parts.push(value)
    total += value.length
  }
  const isCut = total > maxBytes
  if (isCut) await reader?.cancel()
  const body = concatBytes(parts)
  return {
    status: response.status,
    headers: response.headers,
    body: isCut ? body.slice(0, maxBytes) : body,
    isCut,
  }
}

function isAllowed(hostname: string, allowedHosts: string): boolean {
  const host = plainHost(hostname)
  return allowedHosts.split(',').some((entry) => {
    const name = entry.trim()
    return name !== '' && URL.parse(`https://${name}`)?.hostname === host
  })
}

/** What went wrong, in our own words: messages of the runtime may hold addresses with their query strings. */
function whyOf(error: unknown, signal: AbortSignal, timeoutMs: number): string {
  if (signal.aborted) return `no whole answer within ${timeoutMs / 1_000} s`
  const message = error instanceof Error ? error.message : ''
  if (/certificate|tls|ssl/i.test(message)) return 'the TLS connection failed'
  if (/refused/i.test(message)) return 'the connection was refused'
  if (/dns|resolve|not found|getaddrinfo/i.test(message)) return 'the host name was not found'
  // workerd says "Network connection lost." of a port where nothing listens, too.
  if (/disconnect|closed|reset|lost|premature/i.test(message))
    return 'the connection was refused, or closed before the answer'
  return 'the connection failed'
}
