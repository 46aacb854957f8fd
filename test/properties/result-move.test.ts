/** The move of a closed query's rows to R2, whatever fails when: nothing is lost, doubled or changed. */

import fc from 'fast-check'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { startServer, type TestServer } from '../support/harness.ts'
import { openQuery } from '../support/queries.ts'
import * as results from '../support/results.ts'
import { checkServer } from './check.ts'

const NODES = 6
/** One node in two has its rows in the first shard, the others in the second. */
const SHARDS = 2

let server: TestServer
beforeAll(async () => {
  server = await startServer({ entry: 'test/faults/entry.ts' })
})
afterAll(() => server.close())

type Step =
  | { what: 'answer'; ordinal: number; rows: number }
  /** `lost`: what R2 is asked for is done, and nobody hears so, as after a kill in the middle. */
  | { what: 'r2'; mode: 'throw' | 'lost' | null }
  | { what: 'move' }

const steps = fc.array(
  fc.oneof(
    fc.record({ what: fc.constant('answer' as const), ordinal: fc.nat(NODES - 1), rows: fc.nat(3) }),
    fc.record({
      what: fc.constant('r2' as const),
      mode: fc.constantFrom('throw' as const, 'lost' as const, null),
    }),
    fc.record({ what: fc.constant('move' as const) }),
  ),
  { minLength: 4, maxLength: 14 },
)

async function setR2(mode: 'throw' | 'lost' | null): Promise<void> {
  const modes = mode === null ? {} : { ARCHIVE: mode }
  await server.harness.fetch('/test/faults', { method: 'POST', body: JSON.stringify(modes) })
}

function rowsOf(ordinal: number, rows: number): object[] {
  return Array.from({ length: rows }, (_, row) => ({ at: `${ordinal}/${row} of ${rows}` }))
}

async function take(query: Awaited<ReturnType<typeof openQuery>>, step: Step): Promise<void> {
  switch (step.what) {
    case 'answer': {
      const answer = results.answerOf(query.number, rowsOf(step.ordinal, step.rows))
      return results.writeAnswer(server, query, step.ordinal, answer)
    }
    case 'r2':
      return setR2(step.mode)
    case 'move':
      await results.closeNow(server, query)
      // The shards' alarms come a quarter of a second later.
      await new Promise((resolve) => setTimeout(resolve, 300))
  }
}

it('keeps the first answer of each node, whole, wherever it lies', () =>
  checkServer(
    fc.asyncProperty(steps, async (taken) => {
      const ordinals = Array.from({ length: NODES }, (_, ordinal) => ordinal)
      const query = await openQuery(server, 'SELECT 1', ordinals, { shards: SHARDS, logResults: false })
      const first = new Map<number, number>()
      for (const step of taken) {
        await take(query, step)
        if (step.what === 'answer' && !first.has(step.ordinal)) first.set(step.ordinal, step.rows)
      }
      await setR2(null)
      const wanted = [...first].flatMap(([ordinal, rows]) =>
        rowsOf(ordinal, rows).map((row) => JSON.stringify(row)),
      )
      for (const when of ['before', 'after']) {
        const seen = await results.everythingOf(server, query)
        const texts = (seen.pages as { columns: string }[]).map(({ columns }) => columns)
        expect([when, texts.sort()]).toEqual([when, wanted.sort()])
        const walked = (seen.walked as { rows: string[] }[]).flatMap(({ rows }) => rows)
        expect(walked.sort()).toEqual(wanted)
        expect(seen.counts.answered).toBe(first.size)
        expect(seen.groups.rows).toBe(wanted.length)
        await results.closeNow(server, query)
        await results.untilMoved(server, query)
      }
    }),
    20,
  ))
