/**
 * `npm run bench`: each benchmark prints what it ran on, its table and its goals, and as its last line one JSON object.
 * Exit code 1 where a counted goal fails; measured times are told and never decide.
 */

import { writeFileSync } from 'node:fs'
import { runConfig } from './config/config.ts'
import { runFloor } from './floor/floor.ts'
import { runLive } from './live/live.ts'
import { runLogs } from './logs/logs.ts'
import { runMeter } from './meter/meter.ts'
import { runSlope } from './slope/slope.ts'
import { runStorm } from './storm/storm.ts'
import { parseBenchOptions, USAGE, type BenchName, type BenchOptions } from './options.ts'
import { circumstances, goalTable, holds, lastLine, type BenchResult } from './report.ts'

const RUNS: Record<BenchName, (options: BenchOptions) => Promise<BenchResult>> = {
  floor: runFloor,
  meter: runMeter,
  slope: runSlope,
  storm: runStorm,
  logs: runLogs,
  live: runLive,
  config: runConfig,
}

async function main(args: readonly string[]): Promise<number> {
  const options = parseBenchOptions(args)
  if (options === undefined) {
    console.log(USAGE)
    return 0
  }
  const results: BenchResult[] = []
  for (const name of options.benches) {
    console.log(
      `${circumstances([name, ...args.filter((arg) => !options.benches.some((bench) => bench === arg))])}\n`,
    )
    const result = await RUNS[name](options)
    console.log(`\n${goalTable(result.goals)}\n`)
    results.push(result)
    console.log(lastLine(result))
  }
  if (options.json !== null) writeFileSync(options.json, `${JSON.stringify(results, null, 2)}\n`)
  return results.every(holds) ? 0 : 1
}

try {
  process.exitCode = await main(process.argv.slice(2))
} catch (error) {
  console.error(error instanceof Error ? (error.stack ?? error.message) : error)
  process.exitCode = 1
}
