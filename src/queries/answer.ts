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
  /** It only says that the discovery query said no. Absent from Workers of before there was discovery. */
  notApplicable?: boolean
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

/** Of the nodes asked, what became of how many. */
export interface AnswerCounts {
  /** Were offered it at least once, whatever came of it. */
  offered: number
  /** Failed ones included. */
  answered: number
  /** Denylisted ones included. */
  failed: number
  /** Would not run it, because it was running when osqueryd died the last time (spec 5.3). */
  denylisted: number
  /** The discovery query said no. */
  notApplicable: number
  /** Of those, how many the query's targets do not have yet. Absent from Workers of before there was an open range. */
  late?: number
}

export const NO_ANSWERS: Readonly<AnswerCounts> = {
  offered: 0,
  answered: 0,
  failed: 0,
  denylisted: 0,
  notApplicable: 0,
}

export function sumOfCounts(counts: readonly AnswerCounts[]): AnswerCounts {
  const sum = { ...NO_ANSWERS }
  for (const each of counts) {
    sum.offered += each.offered
    sum.answered += each.answered
    sum.failed += each.failed
    sum.denylisted += each.denylisted
    sum.notApplicable += each.notApplicable
    sum.late = (sum.late ?? 0) + (each.late ?? 0)
  }
  return sum
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
