/** The stream of a query, over as many connections as it takes: each row once, in lines as the server sent them. */

import { setTimeout as sleep } from 'node:timers/promises'

import type { AdminRoute } from '../admin-route.ts'
import { CliFailure } from '../failure.ts'
import { lineShape, type StreamLine } from './shapes.ts'

/** Connections that bring nothing, one after the other, until the server counts as away. */
const MAX_IN_VAIN = 30
const AGAIN_AFTER_MS = 1_000

export interface ReadLine {
  line: StreamLine
  text: string
}

/**
 * The lines, those together that came together, until the query is over or `left`. A connection that breaks is made anew
 * where it was. Throws CliFailure where the server refuses, or stays away.
 */
export async function* streamLines(
  route: AdminRoute,
  queryId: string,
  left: AbortSignal,
): AsyncGenerator<ReadLine[]> {
  let cursor: string | undefined
  /** Rows since the cursor: after a broken connection they come again. */
  let shown = new Set<string>()
  let inVain = 0
  while (!left.aborted) {
    const query = cursor === undefined ? '' : `?cursor=${encodeURIComponent(cursor)}`
    inVain += 1
    for await (const texts of linesOf(route, `/${queryId}/stream${query}`, left)) {
      inVain = 0
      const fresh = texts.flatMap((text): ReadLine[] => {
        const parsed = lineShape.safeParse(JSON.parse(text))
        return parsed.success ? [{ line: parsed.data, text }] : []
      })
      const news = fresh.filter(({ line }) => line.type !== 'row' || !shown.has(keyOf(line)))
      for (const { line } of fresh) {
        if (line.type === 'row') shown.add(keyOf(line))
        if (line.type === 'error' || line.cursor === undefined) continue
        cursor = line.cursor
        shown = new Set()
      }
      yield news
      if (fresh.some(({ line }) => line.type === 'end')) return
    }
    if (inVain >= MAX_IN_VAIN) throw new CliFailure('The server does not answer any more.')
    await sleep(AGAIN_AFTER_MS, undefined, { signal: left }).catch(() => undefined)
  }
}

function keyOf({ nodeId, row }: { nodeId: string; row: number }): string {
  return `${nodeId}/${row}`
}

/** The lines of one connection; it ends where the connection does. */
async function* linesOf(route: AdminRoute, path: string, left: AbortSignal): AsyncGenerator<string[]> {
  let rest = ''
  const decoder = new TextDecoder()
  try {
    for await (const piece of route.read(path, left)) {
      const pieces = (rest + decoder.decode(piece, { stream: true })).split('\n')
      rest = pieces.pop() ?? ''
      if (pieces.length > 0) yield pieces
    }
  } catch (error) {
    // What the server refuses it will refuse again; a broken connection is made anew.
    if (error instanceof CliFailure) throw error
  }
}
