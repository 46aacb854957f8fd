/** One case for each agent route: what is sent, and to which entrypoint. */

import { makeQueryId } from '../../../src/agent/query-id.ts'
import { ENROLL_SECRET, type BenchServer } from '../server.ts'
import { postBytes, type NextRequest } from '../load.ts'
import { logBody } from '../log-body.ts'
import { signingKeys, type BenchNode } from '../nodes.ts'
import { openQueries } from '../queries.ts'

export interface FloorCase {
  name: string
  /** The least share of the empty handler's requests/s, where the issue sets one. */
  goal?: number
  /** What makes this row different, for the reader. */
  remark?: string
  /** Makes requests for one round of at most so many. Called before each round, outside of the measured time. */
  prepare: (count: number) => Promise<NextRequest>
  url: URL
}

const LINES = 20
const BLOCK_BYTES = 64 * 1_024
/** Written answers of one round come from so many queries at once. */
const QUERIES = 8

/**
 * The routes in two groups, to be measured one after the other: what leaves nothing to do behind, and what does - its
 * queue's consumer, an object's alarm - which would be charged to whatever is measured next.
 */
export async function floorCases(
  server: BenchServer,
  nodes: readonly BenchNode[],
): Promise<{ clean: FloorCase[]; trailing: FloorCase[] }> {
  const product = await server.url()
  const at = (base: URL, path: string) => new URL(`/api/osquery/${path}`, base)
  const body = (node: BenchNode) => JSON.stringify({ node_key: node.nodeKey })
  const forNodes = (make: (node: BenchNode) => Uint8Array): (() => Promise<NextRequest>) => {
    const made = nodes.map(make)
    let turn = 0
    return async () => () => made[(turn += 1) % made.length] ?? null
  }
  const poll = (path: string, inHeader = true): Pick<FloorCase, 'url' | 'prepare'> => {
    const url = at(product, path)
    return { url, prepare: forNodes((node) => postBytes(url, body(node), inHeader ? keyHeader(node) : {})) }
  }
  const log = async (entrypoint: string | undefined, inHeader: boolean, compressed = true) => {
    const url = at(await server.url(entrypoint), 'log')
    return {
      url,
      prepare: forNodes((node) => {
        const { bytes, headers } = logBody(node, LINES, { compressed })
        return postBytes(url, bytes, inHeader ? { ...headers, ...keyHeader(node) } : headers)
      }),
    }
  }
  const clean: FloorCase[] = [
    { name: 'idle distributed read', goal: 0.6, ...poll('distributed/read') },
    { name: 'config', goal: 0.6, ...poll('config') },
    { name: 'read, key in body', remark: 'agents before 5.23', ...poll('distributed/read', false) },
    { name: 'log, 20 lines, queue', goal: 0.4, remark: 'Worker alone', ...(await log('aloneQueue', true)) },
    { name: 'log, 20 lines, inbox', goal: 0.4, remark: 'Worker alone', ...(await log('alone', true)) },
    {
      name: 'log, key in body, gzip',
      remark: 'Worker alone; agents before 5.23',
      ...(await log('aloneQueue', false)),
    },
    {
      name: 'log, key in body, plain',
      remark: 'Worker alone; agents before 5.23',
      ...(await log('aloneQueue', false, false)),
    },
  ]
  const trailing: FloorCase[] = [
    enroll(at(product, 'enroll')),
    { name: 'log, queue, local queue', remark: 'its consumer included', ...(await log('queuePort', true)) },
    { name: 'log, inbox, local R2', remark: 'its consumer included', ...(await log(undefined, true)) },
    readWithWork(server, nodes, at(product, 'distributed/read')),
    write(server, nodes, at(product, 'distributed/write')),
    await carveBlock(nodes, at(product, 'carve/block')),
  ]
  return { clean, trailing }
}

function keyHeader({ nodeKey }: BenchNode): Record<string, string> {
  return { authorization: `NodeKey ${nodeKey}` }
}

function readWithWork(server: BenchServer, nodes: readonly BenchNode[], url: URL): FloorCase {
  const made = nodes.map((node) =>
    postBytes(url, JSON.stringify({ node_key: node.nodeKey }), keyHeader(node)),
  )
  return {
    name: 'distributed read with work',
    remark: 'one object call',
    url,
    async prepare(count) {
      // Within two seconds a node is offered the same again, so a round's queries stay work for all of it.
      await openQueries(
        server,
        nodes.map(({ ordinal }) => ordinal),
        1,
        4_000,
      )
      let sent = 0
      return () => (sent >= count ? null : (made[(sent += 1) % made.length] ?? null))
    },
  }
}

function write(server: BenchServer, nodes: readonly BenchNode[], url: URL): FloorCase {
  return {
    name: 'distributed write',
    remark: 'one object call, one answer',
    url,
    async prepare(count) {
      const keys = await signingKeys()
      const ordinals = nodes.map(({ ordinal }) => ordinal)
      const queries = await openQueries(server, ordinals, QUERIES, 30_000)
      const requests: Uint8Array[] = []
      for (const { number, shards } of queries) {
        for (const node of nodes) {
          if (requests.length >= count) break
          const wire = { environmentId: server.environmentId, number, shards, ordinal: node.ordinal }
          const id = await makeQueryId(keys, wire)
          const rows = [{ name: 'Ubuntu', version: '24.04.1 LTS (Noble Numbat)' }]
          const body = {
            node_key: node.nodeKey,
            queries: { [id]: rows },
            statuses: { [id]: 0 },
            messages: {},
          }
          requests.push(postBytes(url, JSON.stringify(body), keyHeader(node)))
        }
      }
      return () => requests.pop() ?? null
    },
  }
}

function enroll(url: URL): FloorCase {
  let hosts = 0
  return {
    name: 'enroll',
    remark: 'one D1 statement',
    url,
    prepare: async () => () => {
      hosts += 1
      const uuid = crypto.randomUUID()
      const details = {
        system_info: { hostname: `new-${hosts}`, uuid, cpu_brand: 'Intel', physical_memory: '16777216000' },
        os_version: { platform: 'ubuntu', name: 'Ubuntu', version: '24.04' },
        osquery_info: { version: '5.23.1', build_platform: 'linux', instance_id: uuid },
        platform_info: { vendor: 'a vendor', version: '1.2', date: '2026-01-01' },
      }
      const body = {
        enroll_secret: ENROLL_SECRET,
        host_identifier: uuid,
        platform_type: '9',
        host_details: details,
      }
      return postBytes(url, JSON.stringify(body))
    },
  }
}

/** One carve that is long enough for every round; its blocks come in order, as an agent sends them. */
async function carveBlock(nodes: readonly BenchNode[], url: URL): Promise<FloorCase> {
  const [node] = nodes
  if (node === undefined) throw new Error('there are nodes')
  const carveSize = 8_192 * BLOCK_BYTES
  const announced = {
    block_count: 8_192,
    block_size: BLOCK_BYTES,
    carve_size: carveSize,
    carve_id: crypto.randomUUID(),
    request_id: crypto.randomUUID(),
    node_key: node.nodeKey,
  }
  const reply = await fetch(new URL('/api/osquery/carve/begin', url), {
    method: 'POST',
    body: JSON.stringify(announced),
  })
  const { session_id: sessionId } = (await reply.json()) as { session_id?: string }
  if (sessionId === undefined) throw new Error(`carve begin answered ${reply.status}`)
  const data = Buffer.alloc(BLOCK_BYTES, 0xa5).toString('base64')
  let block = 0
  return {
    name: 'carve block, 64 KiB',
    remark: 'one object call',
    url,
    prepare: async () => () => {
      const body = { block_id: block, session_id: sessionId, request_id: announced.request_id, data }
      block += 1
      return postBytes(url, JSON.stringify(body), keyHeader(node))
    },
  }
}
