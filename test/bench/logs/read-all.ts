/** Reads everything back as an operator does: page by page, newest first. */

import type { BenchServer } from '../server.ts'
import { lineNumber, type Arrived } from './destinations.ts'
import { operator } from './operator.ts'

const PAGE_LINES = 1_000

export interface LogPage {
  items: {
    eventId: string
    nodeId: string
    name: string
    receivedAt: string
    line: Record<string, unknown>
  }[]
  nextCursor: string | null
  searchedThrough: string | null
  searched: { objects: number; bytes: number }
}

/** Hands over each line of the agents'; how many pages there were. */
export async function readAll(server: BenchServer, onLine: (line: Arrived) => void): Promise<number> {
  let pages = 0
  for (const type of ['result', 'status']) {
    let cursor: string | null = null
    do {
      const next = cursor === null ? '' : `&cursor=${cursor}`
      const path = `/environments/${server.environmentId}/logs?type=${type}&limit=${PAGE_LINES}${next}`
      const page: LogPage = await operator<LogPage>(server, 'GET', path)
      for (const { eventId, receivedAt, line } of page.items) {
        onLine({ number: lineNumber(line), eventId, receivedAtMs: Date.parse(receivedAt) })
      }
      pages += 1
      cursor = page.nextCursor
    } while (cursor !== null)
  }
  return pages
}
