/** What the log pipeline costs, and that it loses nothing: the figures of "Logs: never lost". */

import { makeNodes } from '../nodes.ts'
import type { BenchOptions } from '../options.ts'
import type { BenchResult } from '../report.ts'
import { startBenchServer } from '../server.ts'
import { countOperations, operationsGoals, operationsTable } from './operations.ts'
import { faultGoals, faultTables, runFaults } from './fault-run.ts'
import { outageGoals, outageTable, runOutage } from './outage.ts'
import { searchDay, searchGoals, searchTable } from './search.ts'
import { measureThroughput, throughputGoals, throughputTable } from './throughput.ts'

const NODES = 200
const FULL_FAULTS = { lines: 1_000_000, spellMs: 5_000, maxSpellMs: 30_000, largePages: true }
const FULL_OUTAGE = { wellMs: 8_000, awayMs: 60_000, linesPerSecond: 4_000 }
const SHORT_OUTAGE = { wellMs: 2_000, awayMs: 2_500, linesPerSecond: 2_500 }
const FULL_DAY = { nodes: 10_000, linesAnHour: 12 }
const SHORT_DAY = { nodes: 300, linesAnHour: 4 }
const SHORT_FAULTS = { lines: 25_000, spellMs: 300, maxSpellMs: 3_000, largePages: false }

export async function runLogs({ short }: BenchOptions): Promise<BenchResult> {
  const operations = await countOperations(short ? 100 : 1_000)
  console.log(`${operationsTable(operations)}\n`)
  const server = await startBenchServer('test/bench/logs/entry.ts', ['stages'], { queueWaitS: 1 })
  try {
    const nodes = await makeNodes(server, NODES)
    const throughput = await measureThroughput(server, nodes, short ? 300 : 2_500, short ? 1 : 5)
    console.log(`${throughputTable(throughput)}\n`)
    const faults = await runFaults(server, nodes, short ? SHORT_FAULTS : FULL_FAULTS)
    console.log(`${faultTables(faults)}\n`)
    const outage = await runOutage(server, nodes, short ? SHORT_OUTAGE : FULL_OUTAGE)
    console.log(`${outageTable(outage)}\n`)
    const searched = await searchDay(server, short ? SHORT_DAY : FULL_DAY, short ? 2 : 7)
    console.log(`${searchTable(searched)}\n`)
    return {
      bench: 'logs',
      goals: [
        ...operationsGoals(operations),
        ...throughputGoals(throughput),
        ...faultGoals(faults),
        ...outageGoals(outage),
        ...searchGoals(searched),
      ],
      details: { operations, throughput, faults, outage, searched },
    }
  } finally {
    await server.close()
  }
}
