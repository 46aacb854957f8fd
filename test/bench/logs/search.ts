/** Searches of one day of a fleet, by node and by query name: what is opened, what is read, how long a page takes. */

import { goal, table, type Goal } from '../report.ts'
import type { BenchServer } from '../server.ts'
import { median } from '../stats.ts'
import { DAY_NAMES, dayNodeId, RARE_NAME, writeDay, type Day, type DayOptions } from './day.ts'
import { operator } from './operator.ts'
import type { LogPage } from './read-all.ts'

const PAGE_LINES = 100
const DAY_PAGE_LINES = 1_000
const READ_AT_ONCE = 4
const MIB = 1_024 * 1_024
/** What one call reads before it stops with a cursor (logs/read.ts). */
const MAX_READ_BYTES = 128 * MIB
/** A node's lines of one object lie in a run of blocks of 256 KiB: two, where it begins in the middle of one. */
const NODE_BYTES_OF_OBJECT = 2 * 256 * 1_024

export interface Search {
  what: string
  lines: number
  pages: number
  /** Of the whole search, as the reply says; of the worst of the rounds. */
  objects: number
  bytes: number
  /** Most of one page. */
  pageBytes: number
  firstPageMs: number
}

export interface SearchedDay {
  day: Day
  options: DayOptions
  buildSeconds: number
  searches: Search[]
}

export async function searchDay(
  server: BenchServer,
  options: DayOptions,
  rounds: number,
): Promise<SearchedDay> {
  const { id } = await operator<{ id: string }>(server, 'POST', '/environments', { name: 'one-day' })
  const startedMs = performance.now()
  const day = await writeDay(server, id, options)
  const buildSeconds = (performance.now() - startedMs) / 1_000
  const { nodes } = options
  const node = (round: number) => `node=${dayNodeId(Math.floor(((round + 0.5) / rounds) * nodes), nodes)}`
  const name = (round: number) => `name=pack/inventory/query_${(round * 11) % DAY_NAMES}`
  const searchOf = (what: string, parameters: (round: number) => string, isWhole = false) =>
    search(server, id, { what, parameters, rounds, isWhole })
  return {
    day,
    options,
    buildSeconds,
    searches: [
      await searchOf('all lines', () => ''),
      await searchOf('one node', node),
      await searchOf('one node, the whole day', (round) => `limit=${DAY_PAGE_LINES}&${node(round)}`, true),
      await searchOf('one query name', name),
      await searchOf('one name of one node', (round) => `${name(round)}&${node(round)}`),
      await searchOf('a name that was there once', () => `name=${RARE_NAME}`, true),
      await searchOf('a node that is not there', () => 'node=ffffffff-ffff-4fff-8fff-ffffffffffff', true),
      await searchOf('a name that is not there', () => 'name=pack/none', true),
    ],
  }
}

interface SearchOptions {
  what: string
  parameters: (round: number) => string
  rounds: number
  /** To the last page. */
  isWhole: boolean
}

async function search(
  server: BenchServer,
  environmentId: string,
  { what, parameters, rounds, isWhole }: SearchOptions,
): Promise<Search> {
  const found: Search = { what, lines: 0, pages: 0, objects: 0, bytes: 0, pageBytes: 0, firstPageMs: 0 }
  const times: number[] = []
  for (let round = 0; round < rounds; round += 1) {
    const path = `/environments/${environmentId}/logs?${parameters(round)}`
    const one = { lines: 0, pages: 0, objects: 0, bytes: 0 }
    let cursor: string | null = ''
    while (cursor !== null) {
      const startedMs = performance.now()
      const more = cursor === '' ? '' : `&cursor=${cursor}`
      const page: LogPage = await operator<LogPage>(server, 'GET', `${path}${more}`)
      if (one.pages === 0) times.push(performance.now() - startedMs)
      one.lines += page.items.length
      one.pages += 1
      one.objects += page.searched.objects
      one.bytes += page.searched.bytes
      found.pageBytes = Math.max(found.pageBytes, page.searched.bytes)
      cursor = isWhole ? page.nextCursor : null
    }
    found.lines = Math.max(found.lines, one.lines)
    found.pages = Math.max(found.pages, one.pages)
    found.objects = Math.max(found.objects, one.objects)
    found.bytes = Math.max(found.bytes, one.bytes)
  }
  return { ...found, firstPageMs: median(times) }
}

export function searchTable({ day, options, buildSeconds, searches }: SearchedDay): string {
  const rows = searches.map(({ what, lines, pages, objects, bytes, firstPageMs }) => [
    what,
    String(lines),
    String(pages),
    String(objects),
    (bytes / MIB).toFixed(1),
    String(Math.round(firstPageMs)),
  ])
  const size = `${(day.bytes / 1e9).toFixed(2)} GB of lines, ${(day.storedBytes / 1e6).toFixed(0)} MB stored`
  return `${table(['one day, compacted', 'lines', 'pages', 'objects opened', 'MiB inflated', 'first page, ms'], rows)}

${options.nodes.toLocaleString('en')} nodes, ${options.linesAnHour} lines an hour each: ${day.lines.toLocaleString('en')} lines, ${size}, ${day.objects} objects,
written in ${buildSeconds.toFixed(0)} s directly. Pages of ${PAGE_LINES} lines, newest first; of the whole day ${DAY_PAGE_LINES}. Times: median, all in one process.`
}

/** Objects that hold a page, and those that are read beside them (logs/read.ts reads four at once). */
function enough(linesOfObject: number): number {
  return Math.ceil(PAGE_LINES / linesOfObject) + READ_AT_ONCE
}

/** What bounds a Worker is what a page opens and reads. */
export function searchGoals({ day, options, searches }: SearchedDay): Goal[] {
  const linesOfObject = options.linesAnHour / day.objectsAnHour
  const of = (what: string) => searches.find((one) => one.what === what) ?? searches[0]
  const one = of('one node')
  const whole = of('one node, the whole day')
  const nothing = [of('a node that is not there'), of('a name that is not there')]
  return [
    goal('one node, first page', one?.objects ?? NaN, 'objects', '<=', enough(linesOfObject), true),
    goal(
      'one node, first page',
      (one?.bytes ?? NaN) / (one?.objects ?? 1),
      'bytes an object',
      '<=',
      NODE_BYTES_OF_OBJECT,
      true,
    ),
    goal('one node, the whole day', whole?.lines ?? NaN, 'lines', '>=', 24 * options.linesAnHour, true),
    goal(
      'one node, the whole day',
      whole?.objects ?? NaN,
      'objects',
      '<=',
      day.objects + READ_AT_ONCE * (whole?.pages ?? 1),
      true,
    ),
    goal(
      'one query name, first page',
      of('one query name')?.objects ?? NaN,
      'objects',
      '<=',
      enough((options.nodes * linesOfObject) / DAY_NAMES),
      true,
    ),
    goal(
      'a name that was there once',
      of('a name that was there once')?.objects ?? NaN,
      'objects',
      '<=',
      1,
      true,
    ),
    goal(
      'a name that was there once',
      of('a name that was there once')?.lines ?? NaN,
      'lines',
      '>=',
      1,
      true,
    ),
    goal(
      'what is not there',
      nothing.reduce((sum, found) => sum + (found?.objects ?? NaN), 0),
      'objects',
      '<=',
      0,
      true,
    ),
    goal(
      'most that a page reads',
      Math.max(...searches.map(({ pageBytes }) => pageBytes)),
      'bytes',
      '<=',
      MAX_READ_BYTES,
      true,
    ),
    goal('one node, first page', one?.firstPageMs ?? NaN, 'ms', '<=', 500, false),
    goal('one query name, first page', of('one query name')?.firstPageMs ?? NaN, 'ms', '<=', 1_500, false),
  ]
}
