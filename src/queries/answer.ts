/** Answers as they travel between the edge, the shards and the operators. */

import type { Bytes } from '../lib/bytes.ts'

/** One node's answer to one query, as the edge hands it to the shard. */
export interface NewAnswer {
  number: number
  /** 0 is success; anything else failed (spec 2.5). */
  status: number
  message: string
  /** JSON object text, or `{}`. */
  stats: string
  rowCount: number
  truncated: boolean
  /** A gzip member of the JSON array of rows as the agent wrote them; null where there are no rows. */
  rows: Bytes | null
  /** For a carve query: the carve GUIDs and paths that its rows name (spec 6.1). */
  carves: { carveId: string; path: string }[]
}

/** What became of a POST's answers. */
export interface WriteTally {
  stored: number
  duplicate: number
  unknown: number
}

/** What a shard tells of an answer; its rows are asked for apart. */
export interface AnswerRecord {
  ordinal: number
  nodeId: string
  receivedAtMs: number
  status: number
  message: string
  stats: string
  rowCount: number
  truncated: boolean
}

/** Of the nodes asked, how many answered; failed ones included. */
export interface AnswerCounts {
  answered: number
  failed: number
}

/** A place in the order of answers: newest first, then by ordinal. */
export interface AnswerPosition {
  receivedAtMs: number
  ordinal: number
}

/** Sorts newest first; among equals the higher ordinal first. Negative: `a` comes before `b`. */
export function compareNewestFirst(a: AnswerPosition, b: AnswerPosition): number {
  return b.receivedAtMs - a.receivedAtMs || b.ordinal - a.ordinal
}
