/** An agent's side of carves for tests: begins them, sends blocks, in any order and as often as a test likes. */

import { createHash } from 'node:crypto'
import { expect } from 'vitest'
import type { Reply, TestServer } from './harness.ts'

/** Whose carve, of what. */
export interface Carve {
  nodeKey: string
  archive: Uint8Array
  blockSize: number
  carveId: string
  requestId: string
}

export interface CarveRow {
  id: string
  node_id: string
  carve_id: string | null
  session_row_id: string | null
  query_id: string | null
  path: string | null
  status: string
  message: string | null
  blocks_received: number
  block_count: number | null
  bytes: number | null
  sha256: string | null
  file_name: string | null
  object_key: string | null
}

/** Bytes that do not repeat and are the same in every run. */
export function archiveOf(bytes: number, seed = 1): Uint8Array {
  const archive = new Uint8Array(bytes)
  let state = seed
  for (let i = 0; i < bytes; i += 1) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    archive[i] = state >>> 24
  }
  return archive
}

export function sha256Of(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex')
}

/** A carve that nobody asked for. */
export function carveOf(nodeKey: string, archive: Uint8Array, blockSize: number): Carve {
  return { nodeKey, archive, blockSize, carveId: crypto.randomUUID(), requestId: crypto.randomUUID() }
}

/** The announcement as current agents write it. */
export function announcement(carve: Carve) {
  return {
    block_count: Math.ceil(carve.archive.length / carve.blockSize),
    block_size: carve.blockSize,
    carve_size: carve.archive.length,
    carve_id: carve.carveId,
    request_id: carve.requestId,
    node_key: carve.nodeKey,
  }
}

/** Begins a carve; returns its session id. */
export async function begin(server: TestServer, carve: Carve): Promise<string> {
  const reply = await server.agent('/api/osquery/carve/begin', announcement(carve))
  const { session_id: sessionId } = reply.json<{ session_id?: string }>()
  if (typeof sessionId !== 'string') throw new Error(`begin answered ${reply.status} ${reply.text}`)
  return sessionId
}

/** The body of a block as osqueryd writes it. */
export function blockBody(carve: Carve, sessionId: string, blockId: number): string {
  const { archive, blockSize, requestId } = carve
  const data = Buffer.from(archive.subarray(blockId * blockSize, (blockId + 1) * blockSize))
  return `{"block_id":${blockId},"session_id":"${sessionId}","request_id":"${requestId}","data":"${data.toString('base64')}"}`
}

export function sendBlock(
  server: TestServer,
  carve: Carve,
  sessionId: string,
  blockId: number,
): Promise<Reply> {
  return server.agent('/api/osquery/carve/block', blockBody(carve, sessionId, blockId))
}

/** Sends these blocks, or all, one after the other; each must be stored. */
export async function sendBlocks(
  server: TestServer,
  carve: Carve,
  sessionId: string,
  blockIds: Iterable<number> = Array.from({ length: announcement(carve).block_count }, (_, id) => id),
): Promise<void> {
  for (const blockId of blockIds) {
    const reply = await sendBlock(server, carve, sessionId, blockId)
    expect([blockId, reply.status, reply.text]).toEqual([blockId, 200, '{}'])
  }
}

/** The carve's row in D1 once it has this status. */
export function rowWithStatus(server: TestServer, carveId: string, status: string): Promise<CarveRow> {
  return server.until(async () => {
    const row = await carveRow(server, carveId)
    return row?.status === status ? row : null
  })
}

export function carveRow(server: TestServer, carveId: string): Promise<CarveRow | null> {
  return server.env.DB.prepare('SELECT * FROM carves WHERE carve_id = ?').bind(carveId).first<CarveRow>()
}

/** What lies in R2 for a carve. */
export async function storedArchive(server: TestServer, row: CarveRow): Promise<Uint8Array> {
  const object = await server.env.CARVES.get(row.object_key ?? '')
  if (object === null) throw new Error('there is no archive')
  return new Uint8Array(await object.arrayBuffer())
}
