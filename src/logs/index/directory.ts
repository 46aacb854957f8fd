/**
 * What is where inside a compacted object: its blocks - gzip members, sorted by node - so that a search reads only those
 * that may hold what it wants. Pure.
 */

import type { Bytes } from '../../lib/bytes.ts'
import type { NameMatcher } from '../name-glob.ts'

const DIRECTORY_FORMAT = 1
const PREFIX_DIGITS = 8

/** One block, from its first to its last line. */
export interface Block {
  /** Compressed. */
  bytes: number
  /** Ids of the first and the last node; empty for lines of no node. */
  firstNode: string
  lastNode: string
  names: readonly string[]
}

/** A piece of an object. */
export interface ByteRange {
  offset: number
  length: number
}

export interface BlockFilter {
  nodeId: string | null
  matchesName: NameMatcher
}

/** As it is stored: a row for each block, names by their place in one list. */
interface StoredDirectory {
  format: number
  names: string[]
  blocks: [bytes: number, first: string, last: string, names: number[]][]
}

export function encodeDirectory(blocks: readonly Block[]): string {
  const places = new Map<string, number>()
  for (const name of new Set(blocks.flatMap((block) => block.names))) places.set(name, places.size)
  const stored: StoredDirectory = {
    format: DIRECTORY_FORMAT,
    names: [...places.keys()],
    blocks: blocks.map(({ bytes, firstNode, lastNode, names }) => [
      bytes,
      firstNode,
      lastNode,
      names.map((name) => places.get(name) ?? 0),
    ]),
  }
  return JSON.stringify(stored)
}

/**
 * The ranges to read, neighbours joined; empty where nothing can match. Never narrowed by time: a reader that goes on
 * after a cursor has to know of the copies that lie before it.
 */
export function rangesOf(directory: string, filter: BlockFilter): ByteRange[] {
  const { names, blocks } = JSON.parse(directory) as StoredDirectory
  const matching = names.map((name) => filter.matchesName(name))
  const ranges: ByteRange[] = []
  let offset = 0
  for (const [length, first, last, places] of blocks) {
    const { nodeId } = filter
    const mayHold =
      (nodeId === null || (first <= nodeId && nodeId <= last)) &&
      places.some((place) => matching[place] === true)
    const before = ranges.at(-1)
    if (mayHold && before !== undefined && before.offset + before.length === offset) before.length += length
    else if (mayHold) ranges.push({ offset, length })
    offset += length
  }
  return ranges
}

/** The first four bytes of these node ids, ascending: says which nodes have lines in an object of any number of nodes. */
export function nodePrefixes(nodeIds: Iterable<string>): Bytes {
  const prefixes = new Set([...nodeIds].map(prefixOf))
  const sorted = Uint32Array.from(prefixes).sort()
  return new Uint8Array(sorted.buffer)
}

/** Whether a node is among these; one in 2^32 that is not is taken for one that is. */
export function hasNode(prefixes: ArrayBuffer, nodeId: string): boolean {
  const sorted = new Uint32Array(prefixes)
  const wanted = prefixOf(nodeId)
  let low = 0
  let high = sorted.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if ((sorted[middle] ?? 0) < wanted) low = middle + 1
    else high = middle
  }
  return sorted[low] === wanted
}

function prefixOf(nodeId: string): number {
  return Number.parseInt(nodeId.slice(0, PREFIX_DIGITS), 16) || 0
}
