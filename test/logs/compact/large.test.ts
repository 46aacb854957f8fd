/** An hour that is more than one step holds: several objects, one after the other in time, each sorted by node. */

import { gunzipSync } from 'node:zlib'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { utf8 } from '../../../src/lib/bytes.ts'
import { ArchiveWriter } from '../../../src/logs/archive-writer.ts'
import { envelopeOf, linesOf } from '../../../src/logs/line.ts'
import { NOTHING_KNOWN, sourceOf, UNKNOWN_NAME } from '../../../src/logs/source-facts.ts'
import { startServer, type TestServer } from '../../support/harness.ts'
import { allPages } from '../../support/operator.ts'
import { originAt, type LogItem } from '../support.ts'
import { archivedKeys, compactAll, HOUR_MS, newEnvironment, NODES, START_MS } from './support.ts'

let server: TestServer
beforeAll(async () => {
  server = await startServer()
})
afterAll(() => server.close())

/** As long as a line of an agent may be. */
const LONG = 'x'.repeat(8_000_000)

async function send(environment: string, id: number, atMs: number): Promise<void> {
  const writer = new ArchiveWriter(server.env)
  const source = sourceOf(originAt(environment, NODES[(7 - id) % 4] ?? '', START_MS + atMs), NOTHING_KNOWN)
  const eventId = id.toString(16).padStart(16, '0').repeat(2)
  const facts = { type: 'result' as const, name: 'n', ...UNKNOWN_NAME, eventId, index: 0 }
  await writer.add(
    `${id} ${atMs}`,
    source,
    facts,
    envelopeOf(source, facts, utf8(`{"n":${id},"x":"${LONG}"}`)),
  )
  expect([...(await writer.flush())]).toEqual([])
}

it('each line is in one of them, also those that came again', async () => {
  const environment = await newEnvironment(server)
  for (const id of [0, 1, 2, 3, 4]) await send(environment, id, id * 60_000)
  // In another step than its first copy; and at the same time as it.
  await send(environment, 0, 5 * 60_000)
  await send(environment, 2, 2 * 60_000 + 1)
  expect(await compactAll(server.env, environment)).toBe(2)
  await compactAll(server.env, environment, Date.now() + 2 * HOUR_MS)
  const objects = []
  for (const key of await archivedKeys(server.env, environment)) {
    const object = await server.env.ARCHIVE.get(key)
    const ndjson = gunzipSync(new Uint8Array((await object?.arrayBuffer()) ?? new ArrayBuffer()))
    objects.push([...linesOf(new Uint8Array(ndjson))].map(({ header }) => header))
  }
  expect(objects).toHaveLength(2)
  const ids = objects.flat().map(({ eventId }) => Number.parseInt(eventId.slice(0, 16), 16))
  expect(ids.toSorted((a, b) => a - b)).toEqual([0, 1, 2, 3, 4])
  for (const headers of objects) {
    const nodes = headers.map(({ nodeId }) => nodeId ?? '')
    expect(nodes).toEqual(nodes.toSorted())
  }
  const [earlier, later] = objects
    .map((headers) => headers.map(({ receivedAt }) => receivedAt).toSorted())
    .toSorted((a, b) => ((a[0] ?? '') < (b[0] ?? '') ? -1 : 1))
  expect((earlier?.at(-1) ?? '') < (later?.[0] ?? '')).toBe(true)
  const items = await allPages<LogItem>(server, `/environments/${environment}/logs`, 2)
  expect(items.map(({ line }) => line?.['n'])).toEqual([0, 4, 3, 2, 1])
})
