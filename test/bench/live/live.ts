/**
 * Live queries of large fleets: what an answer costs, how soon nodes pick queries up, what waiting costs, how operators
 * read very many rows, and whether everybody sees the same after a crash. Counts decide, times are told.
 */

import type { BenchOptions } from '../options.ts'
import type { BenchResult } from '../report.ts'
import { startBenchServer } from '../server.ts'
import { runConcurrent } from './concurrent.ts'
import { runCrash } from './crash.ts'
import { runFlood } from './flood.ts'
import { goalsOf, type LiveResult } from './goals.ts'
import { runMillion } from './million.ts'
import { liveTables } from './tables.ts'
import { runWatched } from './watched.ts'

export async function runLive({ short }: BenchOptions): Promise<BenchResult> {
  const server = await startBenchServer('test/bench/live/entry.ts')
  try {
    const flood = await timed('answers', () => runFlood(server, short))
    // In CI the three share the machine: only their times suffer, and those are told only.
    const watching = timed('watched', () => runWatched(server, short))
    if (!short) await watching
    const concurrent = await timed('at once', () => runConcurrent(server, short))
    // What was allocated for other things would hide what reading rows needs.
    if (!short) await server.restart()
    const million = await timed('rows', () => runMillion(server, short))
    const watched = await watching
    const crash = await timed('SIGKILL', () => runCrash(server, short))
    const result: LiveResult = { flood, concurrent, watched, million, crash }
    console.log(liveTables(result))
    return { bench: 'live', goals: goalsOf(result), details: result }
  } finally {
    await server.close()
  }
}

/** Says how long each part took: in full it is minutes. */
async function timed<T>(part: string, run: () => Promise<T>): Promise<T> {
  const startedAtMs = performance.now()
  const result = await run()
  console.log(`${part.padEnd(8)}  ${((performance.now() - startedAtMs) / 1_000).toFixed(1)} s`)
  return result
}
