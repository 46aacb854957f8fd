/** A run of chaos, in the guarded process that main.ts starts: `run.ts FOLDER [arguments]`. */

import { writeFileSync } from 'node:fs'
import { invariantTable, circumstances, lastLine, type ChaosReport } from './report.ts'
import { parseChaosOptions, USAGE } from './options.ts'

async function main([folder = '', ...args]: readonly string[]): Promise<number> {
  const options = parseChaosOptions(args)
  if (options === undefined) {
    console.log(USAGE)
    return 0
  }
  console.log(circumstances(args))
  let report: ChaosReport
  if (options.prove) {
    const { prove } = await import('./prove.ts')
    report = await prove(options, folder)
  } else {
    const { RUNS } = await import('./scenarios.ts')
    report = await RUNS[options.scenario](options, folder)
  }
  console.log(`\n${invariantTable(report.invariants)}\n`)
  if (options.json !== undefined) writeFileSync(options.json, `${JSON.stringify(report, null, 2)}\n`)
  console.log(lastLine(report))
  return report.isOk ? 0 : 1
}

try {
  process.exit(await main(process.argv.slice(2)))
} catch (error) {
  console.error(error instanceof Error ? (error.stack ?? error.message) : error)
  process.exit(2)
}
