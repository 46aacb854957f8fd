/** Steps whose Worker dies at any of its calls: nothing is lost, nothing is seen twice, nothing is left lying about. */

import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { workStep } from '../../../src/logs/compact/step.ts'
import { startServer, type TestServer } from '../../support/harness.ts'
import { writeObjects } from '../support.ts'
import { Life, mortal } from './killing.ts'
import {
  archivedKeys,
  compactAll,
  eventIdsOf,
  HOUR_MS,
  line,
  newEnvironment,
  NODES,
  readPage,
} from './support.ts'

let server: TestServer
beforeAll(async () => {
  server = await startServer()
})
afterAll(() => server.close())

const LEASE_MS = 6 * 60_000
/** More calls than any step here makes. */
const MANY = 40
const AT_ONCE = 4

/** Runs a step that dies at a call; whether it lived to its end. */
async function stepThatDies(
  environment: string,
  nowMs: number,
  lastCall: number,
  doesLast: boolean,
): Promise<boolean> {
  const life = new Life(lastCall, doesLast)
  await workStep(mortal(server.env, life), environment, nowMs).catch(() => undefined)
  return life.calls < lastCall
}

/** Tries death at every call, some at once, until a step lives to its end. */
async function atEachCall(lives: (lastCall: number) => Promise<boolean>): Promise<void> {
  for (let lastCall = 1; lastCall <= MANY; lastCall += AT_ONCE) {
    const lived = await Promise.all(Array.from({ length: AT_ONCE }, (_, n) => lives(lastCall + n)))
    if (lived.includes(true)) return
  }
  throw new Error('a step has no end')
}

async function readIds(environment: string): Promise<string[]> {
  return eventIdsOf((await readPage(server, environment, 'limit=1000')).items)
}

/** The keys that the index knows as objects of lines, whoever may see them. */
async function knownKeys(environment: string): Promise<string[]> {
  const prefix = `logs/r90/environment=${environment}/`
  const keys = await archivedKeys(server.env, environment)
  const stub = server.env.ARCHIVE_INDEX.getByName(environment)
  const { orphans } = await stub.compareKeys({ prefix, afterKey: null, throughKey: null, keys }, Date.now())
  return keys.filter((key) => !orphans.includes(key))
}

describe.each([
  ['before it is done', false],
  ['after it is done', true],
])('a Worker that dies at a call %s', (_when, doesLast) => {
  it('while it compacts', () =>
    atEachCall(async (lastCall) => {
      const [a, b, c] = [line(0, { nodeId: NODES[1] }), line(1_000), line(2_000)]
      const environment = await newEnvironment(server)
      await writeObjects(server.env, environment, [[a, b], [{ ...a, atMs: a.atMs + 500 }], [c]])
      const expected = eventIdsOf([c, b, a])
      const nowMs = Date.now()
      const lived = await stepThatDies(environment, nowMs, lastCall, doesLast)
      expect(await readIds(environment)).toEqual(expected)
      await compactAll(server.env, environment, nowMs + LEASE_MS)
      expect(await readIds(environment)).toEqual(expected)
      expect(await server.env.ARCHIVE_INDEX.getByName(environment).health()).toMatchObject({
        compaction: { rawObjects: 0, compactedObjects: 1 },
      })
      await compactAll(server.env, environment, nowMs + 26 * HOUR_MS)
      expect(await archivedKeys(server.env, environment)).toHaveLength(1)
      return lived
    }))

  it('while it deletes what was replaced', () =>
    atEachCall(async (lastCall) => {
      const lines = [line(0), line(1_000)]
      const environment = await newEnvironment(server)
      await writeObjects(
        server.env,
        environment,
        lines.map((one) => [one]),
      )
      await compactAll(server.env, environment)
      const nowMs = Date.now() + 2 * HOUR_MS
      const lived = await stepThatDies(environment, nowMs, lastCall, doesLast)
      expect(await readIds(environment)).toEqual(eventIdsOf(lines.toReversed()))
      await compactAll(server.env, environment, nowMs + LEASE_MS)
      expect(await readIds(environment)).toEqual(eventIdsOf(lines.toReversed()))
      expect(await archivedKeys(server.env, environment)).toHaveLength(1)
      return lived
    }))

  it('while it erases', () =>
    atEachCall(async (lastCall) => {
      const [gone, stays] = [line(0), line(1_000, { nodeId: NODES[1] })]
      const environment = await newEnvironment(server)
      await writeObjects(server.env, environment, [[gone, stays], [line(2_000)]])
      const stub = server.env.ARCHIVE_INDEX.getByName(environment)
      const nowMs = Date.now()
      await stub.erase('one', { nodeId: NODES[0] ?? '', untilMs: nowMs })
      let lived = true
      // The inbox, the quarantine, the objects, the garbage: each a step of its own.
      for (let step = 0; step < 4; step += 1) {
        if (!(await stepThatDies(environment, nowMs + step * LEASE_MS, lastCall, doesLast))) lived = false
        expect(await readIds(environment)).toEqual([stays.eventId])
      }
      await compactAll(server.env, environment, nowMs + 10 * LEASE_MS)
      expect(await stub.receipt('one')).toMatchObject({
        lines: 2,
        objects: 2,
        finishedMs: expect.any(Number) as number,
      })
      expect(await readIds(environment)).toEqual([stays.eventId])
      expect(await knownKeys(environment)).toEqual(await archivedKeys(server.env, environment))
      return lived
    }))
})

it('a step whose Worker died is told of, and taken up again', async () => {
  const environment = await newEnvironment(server)
  await writeObjects(server.env, environment, [[line(0)], [line(1_000)]])
  const stub = server.env.ARCHIVE_INDEX.getByName(environment)
  const nowMs = Date.now()
  expect(await stub.nextWork(nowMs)).toMatchObject({ sources: [{}, {}] })
  expect(await stub.nextWork(nowMs + 60_000)).toBeNull()
  await compactAll(server.env, environment, nowMs + LEASE_MS)
  expect(await stub.health()).toMatchObject({
    compaction: { rawObjects: 0, failures: 1, lastFailure: 'died' },
  })
})

it('two workers at once do one step', async () => {
  const environment = await newEnvironment(server)
  await writeObjects(server.env, environment, [[line(0)], [line(1_000)]])
  const outcomes = await Promise.all([1, 2, 3].map(() => workStep(server.env, environment, Date.now())))
  expect(outcomes.toSorted()).toEqual(['idle', 'idle', 'more'])
})
