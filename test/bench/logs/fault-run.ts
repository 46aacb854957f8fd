/**
 * Many lines through the whole pipeline while everything that it stands on is taken away and given back in turn: each
 * line that was acknowledged must be read once through `GET …/logs`, and must have come to each sink.
 */

import type { Fault } from '../../chaos/worker/fault.ts'
import { lastLineNumber } from '../log-body.ts'
import { insertNodes, type BenchNode } from '../nodes.ts'
import { goal, table, type Goal } from '../report.ts'
import type { BenchServer } from '../server.ts'
import { removeSink, startGeneric, startSplunk } from './destinations.ts'
import { LineCounter, type LineCount } from './line-count.ts'
import { Memory, type MemoryUse } from './memory.ts'
import { Poster, type PostCount } from './posts.ts'
import { readAll } from './read-all.ts'

const LINES_OF_POST = 250
const AT_ONCE = 6
/** Beyond this the schedule's clock is ahead: the sweeper takes what it would leave alone for 20 s. */
const SWEEP_AHEAD_MS = 60_000
/** Without a line more for so long, none comes any more. */
const STUCK_AFTER_MS = 60_000
/** A batch of the queue is waited for so long, that the fault meets somebody. */
const STRIKE_WITHIN_MS = 8_000

/** What is taken away. Of the queue's and R2's calls some are also done and their answers lost. */
const SPELLS: readonly Pick<Fault, 'target' | 'mode'>[] = [
  { target: 'queue', mode: 'fail' },
  { target: 'queue', mode: 'lost' },
  { target: 'consumer', mode: 'fail' },
  { target: 'consumer', mode: 'lost' },
  { target: 'r2', mode: 'fail' },
  { target: 'r2', mode: 'lost' },
  { target: 'object:Archive', mode: 'overloaded' },
  { target: 'object:Archive', mode: 'throw' },
  { target: 'object:Sink', mode: 'evict' },
  { target: 'd1', mode: 'fail' },
]

export interface Spell {
  name: string
  struck: number
  posts: number
  refused: number
}

export interface FaultRun {
  sent: PostCount
  spells: Spell[]
  reader: LineCount & { pages: number }
  sinks: (LineCount & { kind: string })[]
  /** Reader and sinks know each line under the same event id. */
  sameIds: boolean
  memory: MemoryUse
  seconds: { posting: number; draining: number; reading: number }
}

export interface FaultRunOptions {
  lines: number
  /** A fault is on for this long at the most, or until half of its POSTs are through. */
  spellMs: number
  /** A machine that is too busy for all of a spell's lines sends fewer: so many, the table says. */
  maxSpellMs: number
  /** Read back by the reader itself; else through `GET …/logs`. */
  largePages: boolean
}

export async function runFaults(
  server: BenchServer,
  nodes: readonly BenchNode[],
  options: FaultRunOptions,
): Promise<FaultRun> {
  await insertNodes(server, nodes)
  const destinations = [await startGeneric(server, 'first'), await startSplunk(server, 'second')]
  const posts = Math.ceil(options.lines / LINES_OF_POST / SPELLS.length) * SPELLS.length
  const first = lastLineNumber() + 1
  const newCounter = () => new LineCounter(first, posts * LINES_OF_POST)
  const counters = destinations.map((destination) => {
    const counter = newCounter()
    destination.onLine = ({ number, eventId }) => counter.take(number, eventId)
    return counter
  })
  const poster = new Poster(await server.url(), nodes)
  const memory = new Memory(server.workerdPid)
  try {
    const startedMs = performance.now()
    const spells: Spell[] = []
    for (const fault of SPELLS) {
      poster.nextNodes()
      const spell = await runSpell(server, poster, fault, posts / SPELLS.length, options)
      spells.push(spell)
      // Minutes pass: who waits sees that it goes on.
      console.error(
        `${spells.length} of ${SPELLS.length} faults: ${spell.name}, ${poster.count.lines} lines so far`,
      )
    }
    const postedMs = performance.now()
    await drained(server, counters, poster.count.lines)
    const drainedMs = performance.now()
    const reader = newCounter()
    const pages = await readAll(server, options.largePages, ({ number, eventId }) =>
      reader.take(number, eventId),
    )
    const readMs = performance.now()
    return {
      sent: poster.count,
      spells,
      reader: { ...reader.count(poster.count.lines), pages },
      sinks: counters.map((counter, at) => ({
        ...counter.count(poster.count.lines),
        kind: destinations[at]?.kind ?? '',
      })),
      sameIds: counters.every((counter) => counter.hasSameIdsAs(reader)),
      memory: memory.use(),
      seconds: {
        posting: (postedMs - startedMs) / 1_000,
        draining: (drainedMs - postedMs) / 1_000,
        reading: (readMs - drainedMs) / 1_000,
      },
    }
  } finally {
    memory.stop()
    await setFaults(server, [])
    for (const destination of destinations) await removeSink(server, destination)
  }
}

/** Half of its POSTs with the fault on all calls, unless that takes too long; the rest without. */
async function runSpell(
  server: BenchServer,
  poster: Poster,
  fault: Pick<Fault, 'target' | 'mode'>,
  posts: number,
  { spellMs, maxSpellMs }: FaultRunOptions,
): Promise<Spell> {
  const sentBefore = poster.count.acknowledged
  const refusedBefore = poster.count.refused
  const half = Math.ceil(posts / 2)
  const startedMs = Date.now()
  let struck = 0
  let isThrough = false
  await setFaults(server, [{ ...fault, share: 1 }])
  const wounded = sendSome(poster, half, startedMs + maxSpellMs / 2).then(() => (isThrough = true))
  while ((!isThrough && Date.now() - startedMs < spellMs) || struck === 0) {
    if (Date.now() - startedMs > spellMs + STRIKE_WITHIN_MS) break
    await new Promise((resolve) => setTimeout(resolve, 50))
    struck += await takeStruck(server)
  }
  struck += await setFaults(server, [])
  const endsAtMs = startedMs + maxSpellMs
  await Promise.all([wounded, sendSome(poster, posts - half, endsAtMs)])
  const refused = poster.count.refused - refusedBefore
  const name = `${fault.target} ${fault.mode}`
  return { name, struck, posts: poster.count.acknowledged - sentBefore, refused }
}

async function sendSome(poster: Poster, posts: number, endsAtMs: number): Promise<void> {
  let left = posts
  await Promise.all(
    Array.from({ length: AT_ONCE }, async () => {
      while (left > 0 && Date.now() < endsAtMs) {
        left -= 1
        await poster.post(LINES_OF_POST)
      }
    }),
  )
}

/** Tells what is broken from now on; how often what was broken before struck. */
async function setFaults(server: BenchServer, faults: readonly Fault[]): Promise<number> {
  const body = JSON.stringify({ clockMs: 0, faults, defects: [] })
  return timesIn(await fetch(new URL('/chaos/state', await server.url()), { method: 'POST', body }))
}

/** How often faults struck since somebody last asked. */
async function takeStruck(server: BenchServer): Promise<number> {
  return timesIn(await fetch(new URL('/chaos/state', await server.url())))
}

async function timesIn(reply: Response): Promise<number> {
  const struck = (await reply.json()) as Record<string, number>
  return Object.values(struck).reduce((sum, times) => sum + times, 0)
}

/** Waits until the sinks have everything, or nothing comes any more: what is missing then is told by the counts. */
async function drained(server: BenchServer, counters: readonly LineCounter[], sent: number): Promise<void> {
  let last = -1
  let lastMs = Date.now()
  for (;;) {
    const lines = counters.reduce((sum, counter) => sum + counter.lines, 0)
    if (counters.every((counter) => counter.lines >= sent)) return
    if (lines !== last) [last, lastMs] = [lines, Date.now()]
    if (Date.now() - lastMs > STUCK_AFTER_MS) return
    // The schedule's work goes on as it does each minute: what lost its message is found in the inbox.
    await server.tick(Date.now() + SWEEP_AHEAD_MS)
    await new Promise((resolve) => setTimeout(resolve, 500))
  }
}

export function faultTables({ sent, spells, reader, sinks, memory, seconds }: FaultRun): string {
  const struck = spells.map(({ name, struck: times, posts, refused }) => [
    name,
    String(posts),
    times.toLocaleString('en'),
    String(refused),
  ])
  const counts = [{ ...reader, kind: 'the reader' }, ...sinks].map((row) => [
    row.kind,
    row.lines.toLocaleString('en'),
    String(row.missing),
    String(row.again),
    row.eventIds.toLocaleString('en'),
    String(row.otherIds),
    String(row.strangers),
  ])
  const mib = (value: number) => Math.round(value)
  return `${table(['taken away, then given back', 'POSTs', 'calls struck', 'POSTs refused and sent again'], struck)}

${table(['who has the lines', 'lines', 'missing', 'came again', 'event ids', 'under other ids', 'strangers'], counts)}

${sent.lines.toLocaleString('en')} lines acknowledged in ${sent.acknowledged} POSTs of ${LINES_OF_POST}, through both ack ports in turn. ${seconds.posting.toFixed(0)} s to send with faults, ${seconds.draining.toFixed(0)} s until the sinks
had everything, ${seconds.reading.toFixed(0)} s to read back in ${reader.pages} pages. Memory of workerd: ${mib(memory.early)} MiB in the second quarter of the time, ${mib(memory.late)} MiB in
the last, ${mib(memory.most)} MiB at most.`
}

export function faultGoals({ sent, reader, sinks, sameIds, memory, spells }: FaultRun): Goal[] {
  return [
    goal(
      'faults that struck',
      spells.filter(({ struck }) => struck > 0).length,
      'kinds',
      '>=',
      SPELLS.length,
      true,
    ),
    goal('acknowledged lines that readers miss', reader.missing, '', '<=', 0, true),
    goal('lines that readers see twice', reader.again, '', '<=', 0, true),
    goal('event ids beyond one a line', Math.abs(reader.eventIds - sent.lines), '', '<=', 0, true),
    ...sinks.flatMap(({ kind, missing, otherIds, strangers }) => [
      goal(`acknowledged lines that ${kind} misses`, missing, '', '<=', 0, true),
      goal(`lines of ${kind} under other ids`, otherIds + strangers, '', '<=', 0, true),
    ]),
    goal('readers and sinks with the same event ids', sameIds ? 1 : 0, '', '>=', 1, true),
    goal('memory, last quarter of the second', memory.late / memory.early, '×', '<=', 1.25, false),
  ]
}
