/** What was counted in the Worker: the meter's tally, asked for and added up. */

import { tallied, type Taken } from '../meter/agents.ts'
import type { Tally } from '../meter/tally.ts'
import type { BenchServer } from '../server.ts'

/** What was counted since this was last called. */
export async function takeTally(server: BenchServer): Promise<Tally> {
  return ((await (await fetch(new URL('/bench/tally', await server.url()))).json()) as Taken).tally
}

/** Everything that a request may be billed for beside itself: object calls, D1, queues, R2. */
export function bindingCalls(tally: Tally, scope: string): number {
  return ['do ', 'd1.statements', 'queue.sends', 'r2.a', 'r2.b'].reduce(
    (sum, metric) => sum + tallied(tally, scope, metric),
    0,
  )
}
