/**
 * Log lines as operators get them. The reply is made of bytes, so that big integers, member order and odd escapes come
 * out as the agent wrote them.
 */

import { base64Of, concatBytes, strictTextOf, utf8, type Bytes } from '../lib/bytes.ts'
import type { NodeFacts } from '../db/node-facts.ts'
import type { ArchivedLine } from './line.ts'

/** The body of a page; `rest` is what it has beside its items. */
export function logPageBody(
  lines: readonly ArchivedLine[],
  facts: ReadonlyMap<string, NodeFacts>,
  rest: Readonly<Record<string, unknown>>,
): Bytes {
  const parts: Bytes[] = [utf8('{"items":[')]
  for (const [at, line] of lines.entries()) {
    if (at > 0) parts.push(utf8(','))
    parts.push(...logItemOf(line, facts))
  }
  parts.push(utf8(`],${JSON.stringify(rest).slice(1)}`))
  return concatBytes(parts)
}

/** The JSON of a line, in pieces. */
export function logItemOf({ header, line }: ArchivedLine, facts: ReadonlyMap<string, NodeFacts>): Bytes[] {
  const { eventId, nodeId, platform, tags, type, name, pack, query, configurationVersion, receivedAt } =
    header
  const known = nodeId === null ? undefined : facts.get(nodeId)
  const node = { nodeId, hostname: header.hostname ?? known?.hostname ?? null, platform, tags }
  const item = { eventId, ...node, type, name, pack, query, configurationVersion, receivedAt }
  const head = JSON.stringify(item).slice(0, -1)
  // JSON is UTF-8 (RFC 8259), so what is not cannot be spliced in: an agent's odd bytes would break the whole reply.
  if (strictTextOf(line) === null) return [utf8(`${head},"lineBase64":"${base64Of(line)}"}`)]
  return [utf8(`${head},"line":`), line, utf8('}')]
}

/** The nodes whose lines were archived without a host name, because D1 was away then. */
export function nodesWithoutHostname(lines: readonly ArchivedLine[]): string[] {
  return lines.flatMap(({ header: { hostname, nodeId } }) =>
    hostname === null && nodeId !== null ? [nodeId] : [],
  )
}
