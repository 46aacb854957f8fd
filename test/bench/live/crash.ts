/**
 * SIGKILL in the middle of a query: agents send again what was not acknowledged, a viewer comes back with its cursor,
 * another one comes late. Both and the export must have the same rows, and those are what the agents sent.
 */

import type { BenchServer } from '../server.ts'
import type { BenchNode } from '../nodes.ts'
import { each, Fleet, pause } from './fleet.ts'
import { linesOf } from './operator.ts'
import { missingFrom, rowsOfNode } from './rows.ts'
import { rowKey, watchQuery } from './viewer.ts'

const ROWS = 20
const AT_ONCE = 16
const WRITE_AGAIN_AFTER_MS = 200
const ENDS_WITHIN_MS = 60_000

export interface CrashResult {
  rows: number
  /** Of what was sent, not in this list; and the other way round. */
  differences: Record<'viewer' | 'late viewer' | 'export', number>
  /** Connections of the first viewer: more than one, or nothing was interrupted. */
  connections: number
  /** Writes that got no answer the first time. */
  unacknowledged: number
  /** Nodes that had answered when the process was killed. */
  answeredBefore: number
}

export async function runCrash(server: BenchServer, short: boolean): Promise<CrashResult> {
  const fleet = await Fleet.make(server, 'crash', short ? 200 : 2_000)
  const { nodes, operator } = fleet
  const opened = await operator.openQuery({ all: true })
  const viewer = watchQuery(operator, opened.id)
  let answered = 0
  let unacknowledged = 0
  const restarted = Promise.withResolvers<void>()
  const write = async (node: BenchNode, ids: readonly string[]) => {
    for (;;) {
      try {
        await fleet.write(node, ids, rowsOfNode(node.ordinal, ROWS))
        answered += 1
        return
      } catch {
        unacknowledged += 1
        await restarted.promise
        await pause(WRITE_AGAIN_AFTER_MS * Math.random())
      }
    }
  }
  // What each has run when the process dies; reads are over by then, and no agent has to be offered it again.
  const work = new Map<BenchNode, string[]>()
  await each(nodes, AT_ONCE, async (node) => work.set(node, Object.keys(await fleet.readWork(node))))
  const writing = each([...work], AT_ONCE, ([node, ids]) => write(node, ids))
  while (answered < nodes.length / 2) await pause(5)
  const answeredBefore = answered
  await server.restart()
  operator.breakOff()
  fleet.reconnect()
  restarted.resolve()
  const late = watchQuery(operator, opened.id)
  await writing
  await Promise.all([viewer.ended(ENDS_WITHIN_MS), late.ended(ENDS_WITHIN_MS)])
  const exported: string[] = []
  for await (const line of linesOf(await operator.open(`/queries/${opened.id}/export`))) {
    const { nodeId, columns } = JSON.parse(line) as { nodeId: string; columns: Record<string, string> }
    exported.push(rowKey(nodeId, columns))
  }
  const sent = nodes.flatMap(({ nodeId, ordinal }) =>
    rowsOfNode(ordinal, ROWS).map((row) => rowKey(nodeId, { ...row })),
  )
  const difference = (rows: readonly string[]) => missingFrom(sent, rows) + missingFrom(rows, sent)
  return {
    rows: sent.length,
    differences: {
      viewer: difference(viewer.viewed.rows),
      'late viewer': difference(late.viewed.rows),
      export: difference(exported),
    },
    connections: viewer.connections(),
    unacknowledged,
    answeredBefore,
  }
}
