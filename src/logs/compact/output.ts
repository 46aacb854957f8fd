/** The object that compaction makes of sorted lines, and what the index says of it. */

import { concatBytes, type Bytes } from '../../lib/bytes.ts'
import { gzipMember } from '../../lib/gzip-members.ts'
import { MAX_ROW_ID_BYTES, MAX_ROW_NODES, type IndexedRow } from '../archive-object.ts'
import { prefixesOf } from '../id-prefixes.ts'
import type { OutputRow } from '../index/compaction.ts'
import { encodeDirectory, nodePrefixes, type Block } from '../index/directory.ts'
import { blocksOf, bytesOfLine, type CompactLine } from './lines.ts'

/** More than a raw row has: there are few of these. */
const MAX_OUTPUT_NAMES = 1_024

export interface Output {
  row: OutputRow
  file: Bytes
}

/** Makes the object under this key. `place` is any of its sources. There is at least one line. */
export async function outputOf(
  key: string,
  place: Pick<IndexedRow, 'type' | 'hour' | 'retentionDays'>,
  sorted: readonly CompactLine[],
): Promise<Output> {
  const members: Bytes[] = []
  const blocks: Block[] = []
  for (const lines of blocksOf(sorted)) {
    const member = await gzipMember(concatBytes(lines.map((line) => bytesOfLine(line))))
    members.push(member)
    blocks.push({
      bytes: member.length,
      firstNode: lines[0]?.nodeId ?? '',
      lastNode: lines.at(-1)?.nodeId ?? '',
      names: [...new Set(lines.map(({ name }) => name))],
    })
  }
  const file = concatBytes(members)
  return { file, row: rowOf(key, place, sorted, blocks, file.length) }
}

function rowOf(
  key: string,
  { type, hour, retentionDays }: Pick<IndexedRow, 'type' | 'hour' | 'retentionDays'>,
  sorted: readonly CompactLine[],
  blocks: readonly Block[],
  bytes: number,
): OutputRow {
  const nodes = new Set(sorted.map(({ nodeId }) => nodeId))
  const names = new Set(blocks.flatMap((block) => block.names))
  const ids = prefixesOf(sorted.map(({ eventId }) => eventId))
  let firstMs = Number.POSITIVE_INFINITY
  let lastMs = 0
  let lineBytes = 0
  for (const line of sorted) {
    firstMs = Math.min(firstMs, line.receivedAtMs)
    lastMs = Math.max(lastMs, line.receivedAtMs)
    lineBytes += line.end - line.start
  }
  return {
    key,
    type,
    hour,
    retentionDays,
    bytes,
    lineBytes,
    lines: sorted.length,
    firstMs,
    lastMs,
    nodes: nodes.size > MAX_ROW_NODES ? null : [...nodes].filter((nodeId) => nodeId !== ''),
    names: names.size > MAX_OUTPUT_NAMES ? null : [...names],
    ids: ids.length > MAX_ROW_ID_BYTES ? null : ids,
    directory: encodeDirectory(blocks),
    nodePrefixes: nodePrefixes(nodes),
  }
}
