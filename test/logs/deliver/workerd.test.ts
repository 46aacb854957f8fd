/**
 * Sinks on bare workerd. The whole process is killed in the middle of a backlog: afterwards every line is there, and no
 * batch was cut twice. Requests go out by workerd itself.
 */

import '../../support/workerd-crypto.ts'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { buildWorker, startKillable, type KillableServer } from '../../support/killable.ts'
import { startHttpsServer, type HttpsServer } from '../../support/sinks/https.ts'
import { writeObjects } from '../support.ts'
import { idsNamed, linesNamed, type SinkView } from './support.ts'

const BATCH_LINES = 5
const OBJECTS = 12
/** Kept short: what counts is that it ends in the middle. */
const KILLS = 3

let folder: string
let bundle: string
let server: KillableServer
let destination: HttpsServer
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'osquery-edge-killed-'))
  bundle = buildWorker(join(folder, 'worker'))
  server = await startKillable(bundle, join(folder, 'data'), true)
  destination = await startHttpsServer()
})
afterAll(async () => {
  await destination.close()
  await server.close()
  rmSync(folder, { recursive: true, force: true })
})

async function until(probe: () => boolean): Promise<void> {
  for (let endsAtMs = Date.now() + 15_000; !probe();) {
    if (Date.now() > endsAtMs) throw new Error('not within 15 s')
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
}

// Only there the process to kill is found.
it.skipIf(process.platform !== 'linux')(
  'every line arrives at least once, and the same batch under the same key',
  async () => {
    const path = '/environments/default/sinks'
    const sink = await server.operator<SinkView>('POST', path, {
      name: 'killed',
      kind: 'https',
      settings: { url: destination.url },
      // Slow enough that each kill comes in the middle.
      delivery: { maxLines: BATCH_LINES, concurrency: 2, linesPerSecond: 100 },
    })
    destination.batches.length = 0
    await server.operator('POST', `${path}/${sink.id}/pause`)
    const { id: environmentId } = await server.operator<{ id: string }>('GET', '/environments/default')
    const ids = idsNamed('k', OBJECTS * 20)
    const objects = Array.from({ length: OBJECTS }, (_, at) => linesNamed(ids.slice(at * 20, at * 20 + 20)))
    await writeObjects(server.env, environmentId, objects)
    await server.operator('POST', `${path}/${sink.id}/resume`)

    for (let kill = 1; kill <= KILLS; kill += 1) {
      const before = destination.batches.length
      // One of the two on their way is taken, but nobody hears of it.
      destination.failures.push('answer-lost')
      await until(() => destination.batches.length >= before + 3)
      await server.kill()
      server = await startKillable(bundle, join(folder, 'data'), false)
      // The local queue and alarms may have died with the process: the schedule wakes every sink.
      await server.tick(0)
    }
    expect(destination.eventIds().size).toBeLessThan(ids.length)
    await until(() => destination.eventIds().size >= ids.length)
    expect([...destination.eventIds()].toSorted()).toEqual(ids)

    const byKey = Map.groupBy(destination.batches, ({ idempotencyKey }) => idempotencyKey)
    for (const batches of byKey.values()) {
      const contents = new Set(batches.map(({ lines }) => lines.map(({ eventId }) => String(eventId)).join()))
      expect(contents.size).toBe(1)
    }
    // No line is in two batches: who knows the keys knows the doubles.
    const distinct = [...byKey.values()].flatMap(
      ([batch]) => batch?.lines.map(({ eventId }) => eventId) ?? [],
    )
    expect(distinct).toHaveLength(ids.length)
  },
)

it('follows no redirect to another host: not the lines, and not the secrets', async () => {
  const elsewhere = await startHttpsServer()
  const path = '/environments/default/sinks'
  const sink = await server.operator<SinkView>('POST', path, {
    name: 'redirected',
    kind: 'https',
    settings: { url: `${destination.url}/redirected` },
    secrets: { bearerToken: 'secret' },
  })
  const redirect = { status: 307, headers: { location: `${elsewhere.url}/` } }
  destination.failures.push(redirect)
  const told = await server.operator<{ delivered: boolean; reason: string }>(
    'POST',
    `${path}/${sink.id}/test`,
  )
  expect(told).toMatchObject({ delivered: false, reason: expect.stringContaining('redirect') as string })
  destination.failures.push({ status: 308, headers: { location: '/moved' } })
  expect(await server.operator('POST', `${path}/${sink.id}/test`)).toMatchObject({ delivered: true })
  expect(destination.requests.at(-1)?.url.pathname).toBe('/moved')
  expect(elsewhere.requests).toEqual([])
  await elsewhere.close()
})

it('says of a port where nothing listens that the connection was refused or closed', async () => {
  // Port 9 (discard, RFC 863): taken by nobody here.
  const settings = { url: 'http://127.0.0.1:9/' }
  const made = server.operator('POST', '/environments/default/sinks', {
    name: 'closed',
    kind: 'https',
    settings,
  })
  await expect(made).rejects.toThrow('the connection was refused, or closed before the answer')
})
