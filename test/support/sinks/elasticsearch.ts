/**
 * Elasticsearch's `_bulk` into data streams: credentials, names, `create` alone, one document an id, mappings that take
 * one kind a field, a body limit, and a reply with an entry for each item.
 */

import { gunzipSync } from 'node:zlib'
import {
  startDestination,
  type Destination,
  type DestinationReply,
  type DestinationRequest,
} from './destination.ts'

export interface ElasticsearchServer extends Destination {
  apiKey: string
  username: string
  password: string
  maxContentLength: number
  /** What is indexed: data stream, then id. */
  streams: Map<string, Map<string, Record<string, unknown>>>
  /** Answers of items by `_id`, used up one a time, in place of what would become of them. */
  itemFailures: Map<string, { status: number; type: string; reason: string }[]>
  documents(): Record<string, unknown>[]
}

export async function startElasticsearchServer(): Promise<ElasticsearchServer> {
  const destination = await startDestination(
    () => ({
      maxBodyBytes: server.maxContentLength,
      tooLarge: { status: 413, body: '' },
    }),
    (request) => {
      if (!isAllowed(server, request))
        return failure(401, 'security_exception', 'unable to authenticate user')
      if (request.method !== 'POST' || request.url.pathname !== '/_bulk')
        return failure(405, 'illegal_argument_exception', 'Incorrect HTTP method')
      return bulk(server, request)
    },
  )
  const streams: ElasticsearchServer['streams'] = new Map()
  const server: ElasticsearchServer = Object.assign(destination, {
    apiKey: 'VnVhQ2ZHY0JDZGJrUW0tZTVhT3g6dWkybHAyYXhUTm1zeWFrdzl0dk5udw==',
    username: 'osquery-edge',
    password: 'a p@ss:word ü',
    maxContentLength: 1_000_000,
    streams,
    itemFailures: new Map(),
    documents: () => [...streams.values()].flatMap((documents) => [...documents.values()]),
  })
  return server
}

function isAllowed(
  { apiKey, username, password }: ElasticsearchServer,
  { headers }: DestinationRequest,
): boolean {
  const basic = Buffer.from(`${username}:${password}`).toString('base64')
  return [`ApiKey ${apiKey}`, `Basic ${basic}`].includes(headers['authorization'] ?? '')
}

function bulk(server: ElasticsearchServer, { headers, body, url }: DestinationRequest): DestinationReply {
  if (!headers['content-type']?.startsWith('application/x-ndjson'))
    return failure(406, 'media_type_header_exception', 'Invalid media-type value on header [Content-Type]')
  const text = (headers['content-encoding'] === 'gzip' ? gunzipSync(body) : body).toString()
  if (!text.endsWith('\n'))
    return failure(
      400,
      'illegal_argument_exception',
      'The bulk request must be terminated by a newline [\\n]',
    )
  const lines = text.slice(0, -1).split('\n')
  const items: { create: { status: number; error?: { type: string; reason: string } } }[] = []
  for (let at = 0; at < lines.length; at += 2)
    items.push({ create: createItem(server, lines[at], lines[at + 1]) })
  const errors = items.some(({ create }) => create.error !== undefined)
  const filtered = url.searchParams.has('filter_path') ? { errors, items } : { took: 3, errors, items }
  return { status: 200, body: JSON.stringify(filtered) }
}

function createItem(
  server: ElasticsearchServer,
  action = '',
  source = '',
): { status: number; error?: { type: string; reason: string } } {
  const { create } = JSON.parse(action) as { create?: { _index: string; _id: string } }
  if (create === undefined)
    return itemError(
      400,
      'illegal_argument_exception',
      'only write ops with an op_type of create are allowed',
    )
  const [failed] = server.itemFailures.get(create._id)?.splice(0, 1) ?? []
  if (failed !== undefined) return itemError(failed.status, failed.type, failed.reason)
  const stream = server.streams.get(create._index) ?? new Map<string, Record<string, unknown>>()
  server.streams.set(create._index, stream)
  if (stream.has(create._id))
    return itemError(409, 'version_conflict_engine_exception', 'document already exists')
  const document = JSON.parse(source) as Record<string, unknown>
  if (Number.isNaN(Date.parse(document['@timestamp'] as string)))
    return itemError(400, 'document_parsing_exception', 'failed to parse field [@timestamp] of type [date]')
  const conflict = [...stream.values()]
    .map((other) => conflictOf(other, document, ''))
    .find((path) => path !== null)
  if (conflict !== undefined)
    return itemError(
      400,
      'document_parsing_exception',
      `object mapping for [${String(conflict)}] tried to parse`,
    )
  stream.set(create._id, document)
  return { status: 201 }
}

/** A field that is an object in one document and a value in the other; null where there is none. */
function conflictOf(a: unknown, b: unknown, path: string): string | null {
  if (a === undefined || b === undefined || Array.isArray(a) || Array.isArray(b)) return null
  const kinds = [a, b].map((value) => typeof value === 'object' && value !== null)
  if (kinds[0] !== kinds[1]) return path
  if (kinds[0] === false) return null
  for (const name of Object.keys(a as object)) {
    const members = [a, b].map((value) => (value as Record<string, unknown>)[name])
    const conflict = conflictOf(members[0], members[1], path === '' ? name : `${path}.${name}`)
    if (conflict !== null) return conflict
  }
  return null
}

function itemError(status: number, type: string, reason: string) {
  return { status, error: { type, reason } }
}

function failure(status: number, type: string, reason: string): DestinationReply {
  return { status, body: JSON.stringify({ error: { root_cause: [{ type, reason }], type, reason }, status }) }
}
