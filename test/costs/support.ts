/** What the tests of costs share. */

import { expect } from 'vitest'
import { logBody } from '../logs/support.ts'
import type { TestServer } from '../support/harness.ts'

/** A row of osquery_schedule; what is not named is harmless. */
export interface Row {
  name: string
  executions: number
  cpuMs?: number
  denylisted?: boolean
  sql?: string
}

/** A line of the built-in cost query, as an agent of 5.23 writes it. */
export function costLine(unixTime: number, rows: readonly Row[]): string {
  const snapshot = rows.map(({ name, executions, cpuMs = 100, denylisted = false, sql = 'SELECT 1' }) => ({
    name,
    query: sql,
    interval: '600',
    executions: String(executions),
    last_executed: String(executions === 0 ? 0 : unixTime - 1),
    denylisted: denylisted ? '1' : '0',
    output_size: String(executions * 1_000),
    wall_time: '0',
    wall_time_ms: String(executions * cpuMs * 2),
    user_time: String(executions * cpuMs),
    system_time: '0',
    average_memory: '4096',
  }))
  const name = 'osquery-edge/cost'
  return JSON.stringify({
    snapshot,
    action: 'snapshot',
    name,
    unixTime,
    hostIdentifier: 'h',
    counter: 0,
    epoch: 0,
  })
}

/** Has an agent send lines; they are safe when this returns. */
export async function sendLines(
  server: TestServer,
  nodeKey: string,
  lines: readonly string[],
  type = 'result',
): Promise<void> {
  const reply = await server.agent('/api/osquery/log', logBody(nodeKey, type, lines))
  expect([reply.status, reply.text]).toEqual([200, '{}'])
}
