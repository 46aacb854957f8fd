/** A configuration whose documents have 200 KB each, and as many different ones of them as are asked for. */

import type { BenchNode } from '../nodes.ts'
import { DOCUMENT_BYTES } from './document-bytes.ts'
import { OPERATOR_TOKEN, type BenchServer } from '../server.ts'

/** Six layers overlap in 64 ways. */
const MOST_LAYERS = 6
const QUERY_BYTES = 450

/** Makes the present version one of so many documents, whose intervals the server manages: nodes differ by their tags. */
export async function storeDocuments(
  server: BenchServer,
  nodes: readonly BenchNode[],
  count: number,
): Promise<void> {
  const layers = Array.from({ length: Math.ceil(Math.log2(count)) }, (_, index) => ({
    name: `bit-${index}`,
    match: { tag: `bit-${index}` },
    document: { schedule: { [`of_layer_${index}`]: { query: 'SELECT 1;', interval: 600 + index } } },
  }))
  if (layers.length > MOST_LAYERS) throw new Error(`${count} documents are more than there can be`)
  await tag(server, nodes, layers.length, count)
  await operator(server, 'POST', '/configuration/apply', {
    document: baseDocument(count),
    layers,
    message: `${count}`,
  })
  await operator(server, 'PUT', '/intervals', {
    config_tls_refresh: 300,
    distributed_interval: 60,
    logger_tls_period: 300,
  })
}

/** A node's tags are the bits of its ordinal modulo the number of documents. */
async function tag(
  server: BenchServer,
  nodes: readonly BenchNode[],
  bits: number,
  count: number,
): Promise<void> {
  const { env, environmentId } = server
  const rows = nodes.flatMap(({ nodeId, ordinal }) =>
    Array.from({ length: bits }, (_, bit) => bit)
      .filter((bit) => (((ordinal % count) >> bit) & 1) === 1)
      .map((bit) => ({ nodeId, tag: `bit-${bit}` })),
  )
  await env.DB.prepare('DELETE FROM node_tags WHERE environment_id = ?1').bind(environmentId).run()
  await env.DB.prepare(
    `INSERT INTO node_tags (environment_id, node_id, tag)
     SELECT ?1, value ->> 'nodeId', value ->> 'tag' FROM json_each(?2)`,
  )
    .bind(environmentId, JSON.stringify(rows))
    .run()
}

/** 200 KB of scheduled queries, as inventories of large fleets have them. */
function baseDocument(seed: number): object {
  const text = `SELECT pid, name, path, cmdline FROM processes WHERE cmdline LIKE '${'x'.repeat(QUERY_BYTES - 100)}%';`
  const queries = Math.floor(DOCUMENT_BYTES / (text.length + 60))
  const schedule = Object.fromEntries(
    Array.from({ length: queries }, (_, i) => [`inventory_${seed}_${i}`, { query: text, interval: 600 + i }]),
  )
  return { schedule, decorators: { load: ['SELECT uuid AS host_uuid FROM system_info;'] } }
}

/** Asks the admin route for something in the environment. Throws where it refuses. */
export async function operator(
  server: BenchServer,
  method: string,
  path: string,
  body?: object,
): Promise<Record<string, unknown>> {
  const url = new URL(`/api/v1/environments/${server.environmentId}${path}`, await server.url())
  const reply = await fetch(url, {
    method,
    headers: { authorization: `Bearer ${OPERATOR_TOKEN}`, 'content-type': 'application/json' },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  })
  const text = await reply.text()
  if (!reply.ok) throw new Error(`${method} ${path}: ${reply.status} ${text.slice(0, 500)}`)
  return JSON.parse(text) as Record<string, unknown>
}
