/**
 * Splunk's HTTP Event Collector, as far as a sender can tell: tokens, indexes, channels, acknowledgements, its limit and
 * its codes ("Troubleshoot HTTP Event Collector", Splunk). An event that is bad refuses its request, but those before
 * it were indexed.
 */

import { gunzipSync } from 'node:zlib'
import {
  startDestination,
  type Destination,
  type DestinationReply,
  type DestinationRequest,
} from './destination.ts'

export interface HecEvent {
  time: number
  host: string
  source: string
  sourcetype: string
  index?: string
  fields: Record<string, string | string[]>
  event: Record<string, unknown>
}

export interface HecServer extends Destination {
  token: string
  tokenIsDisabled: boolean
  indexes: string[]
  maxContentLength: number
  /** The token's useACK. */
  acknowledges: boolean
  /** How often it is asked about a request before it says that it is indexed; Infinity: never. */
  indexedAfterPolls: number
  /** What is indexed, in order. */
  events: HecEvent[]
}

const TEXTS: Record<number, [status: number, text: string]> = {
  0: [200, 'Success'],
  1: [403, 'Token disabled'],
  2: [401, 'Token is required'],
  3: [401, 'Invalid authorization'],
  4: [403, 'Invalid token'],
  5: [400, 'No data'],
  6: [400, 'Invalid data format'],
  7: [400, 'Incorrect index'],
  10: [400, 'Data channel is missing'],
  11: [400, 'Invalid data channel'],
  12: [400, 'Event field is required'],
  13: [400, 'Event field cannot be blank'],
  14: [400, 'ACK is disabled'],
  15: [400, 'Error in handling indexed fields'],
}
const GUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i

export async function startHecServer(): Promise<HecServer> {
  const acks = new Map<string, { polls: number }[]>()
  const destination = await startDestination(
    () => ({
      maxBodyBytes: server.maxContentLength,
      tooLarge: { status: 413, body: '<title>413 Content-Length too large</title>' },
    }),
    (request) => {
      const code = faultOfToken(server, request)
      if (code !== null) return reply(code)
      const channel = request.headers['x-splunk-request-channel'] ?? request.url.searchParams.get('channel')
      if (request.url.pathname === '/services/collector/event') return takeEvents(request, channel)
      if (request.url.pathname === '/services/collector/ack') return tellAcks(request, channel)
      return { status: 404, body: '{"text":"The requested URL was not found on this server.","code":404}' }
    },
  )
  const server: HecServer = Object.assign(destination, {
    token: '0b4c7e1a-5d0e-4a51-9d5a-8d2b1d2f7a10',
    tokenIsDisabled: false,
    indexes: ['main', 'osquery'],
    maxContentLength: 1_000_000,
    acknowledges: false,
    indexedAfterPolls: 1,
    events: [],
  })

  function takeEvents(request: DestinationRequest, channel: string | null): DestinationReply {
    if (server.acknowledges && channel === null) return reply(10)
    if (channel !== null && !GUID.test(channel)) return reply(11)
    let text: string
    try {
      const isGzip = request.headers['content-encoding'] === 'gzip'
      text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(
        isGzip ? gunzipSync(request.body) : request.body,
      )
    } catch {
      return reply(6)
    }
    if (text.trim() === '') return reply(5)
    for (const [at, value] of concatenated(text).entries()) {
      const code = faultOfEvent(server, value)
      if (code !== null) return reply(code, { 'invalid-event-number': at })
      server.events.push(JSON.parse(value) as HecEvent)
    }
    if (!server.acknowledges || channel === null) return reply(0)
    const pending = acks.get(channel) ?? []
    acks.set(channel, [...pending, { polls: 0 }])
    return reply(0, { ackId: pending.length })
  }

  function tellAcks(request: DestinationRequest, channel: string | null): DestinationReply {
    if (!server.acknowledges) return reply(14)
    if (channel === null) return reply(10)
    const asked = (JSON.parse(request.body.toString()) as { acks: number[] }).acks
    const answers = asked.map((ackId) => {
      const ack = acks.get(channel)?.[ackId]
      if (ack === undefined) return [ackId, false]
      ack.polls += 1
      return [ackId, ack.polls >= server.indexedAfterPolls]
    })
    return { status: 200, body: JSON.stringify({ acks: Object.fromEntries(answers) as unknown }) }
  }

  return server
}

function faultOfToken({ token, tokenIsDisabled }: HecServer, { headers }: DestinationRequest): number | null {
  const { authorization } = headers
  if (authorization === undefined) return 2
  if (!authorization.startsWith('Splunk ')) return 3
  if (authorization !== `Splunk ${token}`) return 4
  return tokenIsDisabled ? 1 : null
}

function faultOfEvent({ indexes }: HecServer, text: string): number | null {
  let value: Record<string, unknown>
  try {
    value = JSON.parse(text) as Record<string, unknown>
  } catch {
    return 6
  }
  const { event, index, fields } = value
  if (event === undefined || event === null) return 12
  if (event === '') return 13
  if (index !== undefined && !indexes.includes(index as string)) return 7
  const nested = Object.values((fields ?? {}) as object).some(
    (field) => typeof field === 'object' && !Array.isArray(field),
  )
  return nested ? 15 : null
}

function reply(code: number, more: Record<string, number> = {}): DestinationReply {
  const [status, text] = TEXTS[code] ?? [500, 'Internal server error']
  return { status, body: JSON.stringify({ text, code, ...more }) }
}

/** JSON objects that follow each other, each as its text; what is no object is given up to the next blank. */
function concatenated(text: string): string[] {
  const values: string[] = []
  let start = 0
  let depth = 0
  let inString = false
  for (let at = 0; at < text.length; at += 1) {
    const character = text[at]
    if (inString) {
      if (character === '\\') at += 1
      else if (character === '"') inString = false
      continue
    }
    if (character === '"') inString = true
    else if (character === '{' || character === '[') depth += 1
    else if (character === '}' || character === ']') {
      depth -= 1
      if (depth === 0) {
        values.push(text.slice(start, at + 1).trim())
        start = at + 1
      }
    }
  }
  const rest = text.slice(start).trim()
  return rest === '' ? values : [...values, rest]
}
