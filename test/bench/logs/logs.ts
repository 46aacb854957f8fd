/** What the log pipeline costs, and that it loses nothing: the figures of "Logs: never lost". */

import { makeNodes } from '../nodes.ts'
import type { BenchOptions } from '../options.ts'
import type { BenchResult } from '../report.ts'
import { startBenchServer } from '../server.ts'
import { countOperations, operationsGoals, operationsTable } from './operations.ts'
import { measureThroughput, throughputGoals, throughputTable } from './throughput.ts'

const NODES = 200

export async function runLogs({ short }: BenchOptions): Promise<BenchResult> {
  const operations = await countOperations(short ? 200 : 1_000)
  console.log(`${operationsTable(operations)}\n`)
  const server = await startBenchServer('test/bench/logs/entry.ts', ['stages'])
  try {
    const nodes = await makeNodes(server, NODES)
    const throughput = await measureThroughput(server, nodes, short ? 500 : 2_500, short ? 1 : 5)
    console.log(`${throughputTable(throughput)}\n`)
    return {
      bench: 'logs',
      goals: [...operationsGoals(operations), ...throughputGoals(throughput)],
      details: { operations, throughput },
    }
  } finally {
    await server.close()
  }
}
