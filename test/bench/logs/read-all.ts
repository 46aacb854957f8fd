/** Reads everything back: as an operator does, page by page and newest first, or by the same reader in larger pages. */

import type { BenchServer } from '../server.ts'
import { lineNumber, type Arrived } from './destinations.ts'
import type { ReadReply, ReadRequest } from './entry.ts'
import { operator } from './operator.ts'

/** As many as `GET …/logs` gives. Each page reads the 12 MiB or so that its lines lie among. */
const PAGE_LINES = 1_000
/** So that a million lines do not take a quarter of an hour; a page is cut at 16 MiB in any case (logs/log-page.ts). */
const LARGE_PAGE_LINES = 20_000

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

type OnLine = (line: Omit<Arrived, 'receivedAtMs'>) => void

/** Hands over each line of the agents'; how many pages there were. */
export function readAll(server: BenchServer, isLarge: boolean, onLine: OnLine): Promise<number> {
  return isLarge ? readLargePages(server, onLine) : readPages(server, onLine)
}

async function readPages(server: BenchServer, onLine: OnLine): Promise<number> {
  let pages = 0
  let cursor: string | null = null
  do {
    const next = cursor === null ? '' : `&cursor=${cursor}`
    const path = `/environments/${server.environmentId}/logs?limit=${PAGE_LINES}${next}`
    const page: LogPage = await operator<LogPage>(server, 'GET', path)
    for (const { eventId, line } of page.items) onLine({ number: lineNumber(line), eventId })
    pages += 1
    cursor = page.nextCursor
  } while (cursor !== null)
  return pages
}

async function readLargePages(server: BenchServer, onLine: OnLine): Promise<number> {
  const url = new URL('/bench/read', await server.url())
  const { environmentId } = server
  let pages = 0
  let cursor: ReadRequest['cursor'] = null
  do {
    const body = JSON.stringify({ environmentId, limit: LARGE_PAGE_LINES, cursor } satisfies ReadRequest)
    const reply = await fetch(url, { method: 'POST', body })
    if (!reply.ok) throw new Error(`${reply.status} ${await reply.text()}`)
    const page = (await reply.json()) as ReadReply
    for (const { eventId, text } of page.lines) {
      onLine({ number: lineNumber(JSON.parse(text) as Record<string, unknown>), eventId })
    }
    pages += 1
    cursor = page.nextCursor
  } while (cursor !== null)
  return pages
}
