/** What the tests of logs share. */

import { expect } from 'vitest'
import { bytesOfBase64Url, utf8, uuidOfBytes, type Bytes } from '../../src/lib/bytes.ts'
import { ArchiveWriter } from '../../src/logs/archive-writer.ts'
import { envelopeOf, type LineSource, type LineType } from '../../src/logs/line.ts'
import type { LogOrigin } from '../../src/logs/message.ts'
import { NOTHING_KNOWN, sourceOf, UNKNOWN_NAME, type SourceFacts } from '../../src/logs/source-facts.ts'
import type { Reply, TestServer } from '../support/harness.ts'

export interface LogItem {
  eventId: string
  nodeId: string | null
  hostname: string | null
  platform: string | null
  tags: string[]
  type: string
  name: string
  pack: string | null
  query: string | null
  configurationVersion: number | null
  receivedAt: string
  line?: Record<string, unknown>
  lineBase64?: string
}

export interface LogList {
  items: LogItem[]
  nextCursor: string | null
}

/** The environment and the node that a node key names. */
export function idsOf(nodeKey: string): { environmentId: string; nodeId: string } {
  const bytes = bytesOfBase64Url(nodeKey.slice('oen1-'.length))
  if (bytes === null) throw new Error('not a node key')
  return { environmentId: uuidOfBytes(bytes.subarray(1, 17)), nodeId: uuidOfBytes(bytes.subarray(17, 33)) }
}

/** An origin for what a test puts into the archive by itself. */
export function originAt(environmentId: string, nodeId: string, receivedAtMs: number): LogOrigin {
  return { environmentId, nodeId, ordinal: 1, platform: 'linux', receivedAtMs }
}

/** What lines of an origin have in common; `facts` is what is known beside it. */
export function sourceAt(origin: LogOrigin, facts: Partial<SourceFacts> = {}): LineSource {
  return sourceOf(origin, { ...NOTHING_KNOWN, ...facts })
}

/** A line that a test puts into the archive by itself. */
export interface Written {
  eventId: string
  nodeId: string
  type: LineType
  name: string
  atMs: number
  index: number
}

/** Writes one archive object for each list of lines. */
export async function writeObjects(
  env: Env,
  environmentId: string,
  objects: readonly (readonly Written[])[],
): Promise<void> {
  for (const lines of objects) {
    const writer = new ArchiveWriter(env)
    for (const { eventId, nodeId, type, name, atMs, index } of lines) {
      const source = sourceAt(originAt(environmentId, nodeId, atMs), { hostname: 'host' })
      const facts = { type, name, eventId, index, ...UNKNOWN_NAME }
      const envelope = envelopeOf(source, facts, utf8(`{"id":"${eventId}"}`))
      await writer.add(JSON.stringify(lines), source, facts, envelope)
    }
    expect([...(await writer.flush())]).toEqual([])
  }
}

/** The text of a log POST. `data` holds the entries as JSON texts, so that they go out as they are written here. */
export function logBody(nodeKey: string, logType: string, data: readonly string[]): string {
  return `{"data":[${data.join(',')}],"log_type":"${logType}","node_key":"${nodeKey}"}`
}

/** POSTs to the log endpoint and expects the answer that says "it is safe". */
export async function sendLog(
  server: TestServer,
  body: unknown,
  headers: Record<string, string> = {},
): Promise<void> {
  const reply = await server.agent('/api/osquery/log', body, headers)
  expect([reply.status, reply.text]).toEqual([200, '{}'])
}

/** A page of a node's lines. */
export function readNodeLogs(server: TestServer, nodeKey: string, parameters = ''): Promise<Reply> {
  const { environmentId, nodeId } = idsOf(nodeKey)
  return server.operator('GET', `/environments/${environmentId}/logs?node=${nodeId}${parameters}`)
}

/** Waits until a node has this many lines; the page as it came. */
export function untilLines(server: TestServer, nodeKey: string, count: number): Promise<Reply> {
  return server.until(async () => {
    const reply = await readNodeLogs(server, nodeKey, '&limit=1000')
    return reply.status === 200 && reply.json<LogList>().items.length >= count ? reply : null
  })
}

/** Waits until nothing is on its way any more: the inbox is empty. */
export async function untilInboxEmpty(server: TestServer): Promise<void> {
  await server.until(async () => {
    const { objects } = await server.env.ARCHIVE.list({ prefix: 'inbox/' })
    return objects.length === 0
  })
}

export interface QuarantineEntry {
  id: string
  reason: string
  nodeId: string
  bytes: number
  receivedAt: string
}

/** What of a node was put aside. */
export async function quarantineOf(server: TestServer, nodeKey: string): Promise<QuarantineEntry[]> {
  const { environmentId, nodeId } = idsOf(nodeKey)
  const reply = await server.operator('GET', `/environments/${environmentId}/quarantine?limit=1000`)
  return reply.json<{ items: QuarantineEntry[] }>().items.filter((item) => item.nodeId === nodeId)
}

/** Waits until something of a node was put aside. */
export function untilQuarantined(server: TestServer, nodeKey: string, count = 1): Promise<QuarantineEntry[]> {
  return server.until(async () => {
    const items = await quarantineOf(server, nodeKey)
    return items.length >= count ? items : null
  })
}

/** The bytes of what was put aside. */
export async function quarantinedBytes(server: TestServer, nodeKey: string, id: string): Promise<Bytes> {
  const { environmentId } = idsOf(nodeKey)
  const object = await server.env.ARCHIVE.get(`quarantine/environment=${environmentId}/${id}`)
  if (object === null) throw new Error('not there')
  return new Uint8Array(await object.arrayBuffer())
}
