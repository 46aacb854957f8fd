/**
 * How one document becomes those of 16 splay buckets: a part is stored once, and the edge puts the bucket's own numbers
 * into it. No JSON is read for that: where they go was found when the part was compiled. Pure.
 */

import type { Bytes } from '../lib/bytes.ts'
import { utf8 } from '../lib/bytes.ts'
import { lengthened, MANAGED_OPTIONS, RECOMMENDED_INTERVALS, type ManagedOption } from './intervals.ts'
import { splayedInterval } from './splay.ts'

/** Where a document says how often agents come, and where it could say more of it. */
export interface IntervalPlaces {
  said: readonly SaidInterval[]
  /** Behind this byte members may be added, between these texts. */
  addAt: number
  addBefore: string
  addAfter: string
}

export interface SaidInterval {
  option: ManagedOption
  /** The value's first byte, and the one behind it. */
  from: number
  to: number
  /** Null: it is no number of seconds, and stays as it is. */
  seconds: number | null
  /** Put there by the server, which may vary it from bucket to bucket. */
  managed: boolean
}

/** Bytes from..to become: the text, the bucket's seconds, the text behind them. JSON of heads: small, and for ever this. */
export interface IntervalEdit {
  from: number
  to: number
  before?: string
  seconds: number
  after?: string
}

/** What an environment's brownout does to intervals. */
export interface IntervalStretch {
  /** More than 1: a brownout is on. */
  factor: number
  /** Whether there ever was one: nodes that were told an interval keep it until they are told another. */
  everOn: boolean
}

export const NO_STRETCH: IntervalStretch = { factor: 1, everOn: false }

/**
 * What has to be put into a document, in its order. Managed intervals always; those that operators wrote only while a
 * brownout makes them longer. What nobody says is not touched before the first brownout, and is the recommended one from
 * then on: the agent's own flagfile is not known here, and osquery's default for logs, 4 s, would be a flood.
 */
export function intervalEdits(places: IntervalPlaces, { factor, everOn }: IntervalStretch): IntervalEdit[] {
  const { said, addAt, addBefore, addAfter } = places
  const edits = said.flatMap(({ from, to, seconds, managed }): IntervalEdit[] => {
    const isKept = seconds === null || !(managed || factor > 1)
    return isKept ? [] : [{ from, to, seconds: lengthened(seconds, factor) }]
  })
  const missing = MANAGED_OPTIONS.filter((option) => said.every((each) => each.option !== option))
  if (!everOn && factor === 1) return edits
  const added = missing.map((option, index): IntervalEdit => {
    const before = `${index === 0 ? addBefore : ','}"${option}":`
    const after = index === missing.length - 1 ? addAfter : ''
    const seconds = lengthened(RECOMMENDED_INTERVALS[option], factor)
    return { from: addAt, to: addAt, before, seconds, after }
  })
  return [...added, ...edits].toSorted((a, b) => a.from - b.from)
}

/** A bucket's document: the bytes with the edits made. The same input gives the same bytes (design R7). */
export function withEdits(document: Bytes, edits: readonly IntervalEdit[], bucket: number): Bytes {
  const pieces = edits.map(({ before = '', seconds, after = '' }) =>
    utf8(`${before}${splayedInterval(seconds, bucket)}${after}`),
  )
  const added = pieces.reduce((sum, { length }) => sum + length, 0)
  const removed = edits.reduce((sum, { from, to }) => sum + to - from, 0)
  const whole = new Uint8Array(document.length + added - removed)
  let read = 0
  let written = 0
  for (const [index, { from, to }] of edits.entries()) {
    whole.set(document.subarray(read, from), written)
    written += from - read
    const piece = pieces[index] ?? new Uint8Array(0)
    whole.set(piece, written)
    written += piece.length
    read = to
  }
  whole.set(document.subarray(read), written)
  return whole
}
