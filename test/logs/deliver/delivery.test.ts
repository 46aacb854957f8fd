/** Sinks on the whole Worker: from the archive's index to a destination that behaves, or does not. */

import '../../support/sinks/outgoing.ts'
import '../../support/workerd-crypto.ts'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { startServer, type TestServer } from '../../support/harness.ts'
import type { Failure } from '../../support/sinks/destination.ts'
import { writeObjects } from '../support.ts'
import {
  idsNamed,
  linesNamed,
  newWorld,
  startHttpsServer,
  untilTaken,
  type HttpsServer,
  type SinkWorld,
} from './support.ts'

let server: TestServer
let world: SinkWorld
const destinations: HttpsServer[] = []
beforeAll(async () => {
  server = await startServer()
})
afterAll(() => server.close())
afterEach(async () => {
  for (const destination of destinations.splice(0)) await destination.close()
})

/** A destination, in a world of its own. */
async function newDestination(): Promise<HttpsServer> {
  const destination = await startHttpsServer()
  destinations.push(destination)
  world = await newWorld(server)
  return destination
}

function takenIds({ batches }: HttpsServer): string[] {
  return batches.flatMap(({ lines }) => lines.map(({ eventId }) => String(eventId)))
}

function keysOf({ requests }: HttpsServer): (string | undefined)[] {
  return requests.map(({ headers }) => headers['idempotency-key'])
}

describe('a destination that takes everything', () => {
  it('gets what is archived, in the order of the archive, and the agent bytes untouched', async () => {
    const destination = await newDestination()
    const sink = await world.makeSink(destination)
    const ids = idsNamed('a', 20)
    await world.archive(linesNamed(ids.slice(0, 12)), linesNamed(ids.slice(12)))
    await untilTaken(server, destination, ids)
    expect(takenIds(destination)).toEqual(ids)
    expect(destination.batches[0]?.lines[0]).toMatchObject({
      format: 2,
      type: 'result',
      line: { id: 'a0000' },
    })
    const { health } = await server.until(async () => {
      const shown = await world.sink(sink.id)
      return shown.health?.lag?.objects === 0 && shown.health.delivered.lines === 20 ? shown : null
    })
    expect(health).toMatchObject({ state: 'ok', rejectedLines: 0, lastError: null })
  })

  it('gets nothing of before it was made', async () => {
    const destination = await newDestination()
    await world.archive(linesNamed(['old']))
    await world.makeSink(destination)
    await world.archive(linesNamed(['new']))
    await untilTaken(server, destination, ['new'])
    expect(takenIds(destination)).toEqual(['new'])
  })

  it('gets batches of what the operator allows, signed, as JSON arrays', async () => {
    const destination = await newDestination()
    const sink = await world.makeSink(destination, {
      settings: { url: destination.url, format: 'json-array', content: 'agent' },
      secrets: { hmacKey: 'a key of sixteen characters or more', headers: { 'x-api-key': 'k' } },
      delivery: { maxLines: 3, gzip: false },
    })
    expect(sink.secretNames).toEqual(['hmacKey', 'headers'])
    await world.archive(linesNamed(idsNamed('b', 7)))
    await server.until(async () => destination.batches.length >= 3)
    expect(destination.batches.map(({ lines }) => lines.length)).toEqual([3, 3, 1])
    expect(destination.batches[0]?.lines[0]).toEqual({ id: 'b0000' })
    const [request] = destination.requests
    expect(request?.headers['x-api-key']).toBe('k')
    expect(request?.headers['webhook-id']).toBe(request?.headers['idempotency-key'])
    expect(request?.headers['webhook-signature']).toMatch(/^v1,[A-Za-z0-9+/]{43}=$/)
    expect(request?.headers['x-hub-signature-256']).toMatch(/^sha256=[0-9a-f]{64}$/)
  })

  it('gets only what the filter lets through', async () => {
    const destination = await newDestination()
    await world.makeSink(destination, { filter: { types: ['result', 'snapshot'], queries: ['pack_*_x'] } })
    await world.archive(
      linesNamed(['no-name'], { name: '' }),
      linesNamed(['wrong-type'], { type: 'status', name: 'pack_a_x' }),
      linesNamed(['wrong-name'], { name: 'pack_a_y' }),
      linesNamed(['right', 'right-too'], { name: 'pack_a_x', type: 'snapshot' }),
    )
    await untilTaken(server, destination, ['right', 'right-too'])
    expect(takenIds(destination)).toEqual(['right', 'right-too'])
  })

  it('gets several batches at once where it may', async () => {
    const destination = await newDestination()
    await world.makeSink(destination, { delivery: { maxLines: 5, concurrency: 4 } })
    const ids = idsNamed('c', 50)
    await world.archive(linesNamed(ids))
    await untilTaken(server, destination, ids)
    expect(takenIds(destination).toSorted()).toEqual(ids)
  })

  it('gets no more than the rate allows', async () => {
    const destination = await newDestination()
    await world.makeSink(destination, { delivery: { linesPerSecond: 10 } })
    const begunAtMs = Date.now()
    const ids = idsNamed('d', 25)
    await world.archive(linesNamed(ids))
    await untilTaken(server, destination, ids)
    // 10 at once, and 15 more: at least a second and a half, however slow the machine.
    expect(Date.now() - begunAtMs).toBeGreaterThanOrEqual(1_400)
    expect(Math.max(...destination.batches.map(({ lines }) => lines.length))).toBe(10)
  })
})

describe('a destination that fails', () => {
  const passing: [string, Failure][] = [
    ['answers 503', { status: 503 }],
    ['answers 429 and says when', { status: 429, headers: { 'retry-after': '1' } }],
    ['breaks off in the middle of its answer', 'half-closed'],
    ['closes the connection', 'reset'],
    ['has taken the lines, but its answer is lost', 'answer-lost'],
    ['never answers', 'hanging'],
  ]
  it.each(passing)('%s: gets the same batch again, under the same key', async (_, failure) => {
    const destination = await newDestination()
    const sink = await world.makeSink(destination, { delivery: { timeoutSeconds: 1 } })
    destination.failures.push(failure)
    await world.archive(linesNamed(['x1', 'x2']))
    await untilTaken(server, destination, ['x1', 'x2'])
    const keys = await server.until(async () =>
      destination.requests.length > 1 ? keysOf(destination) : null,
    )
    expect(new Set(keys).size).toBe(1)
    const { health } = await server.until(async () => {
      const shown = await world.sink(sink.id)
      return shown.health?.state === 'ok' ? shown : null
    })
    expect(health?.lastError?.reason).toMatch(/./)
  })

  it('finds a batch too large: gets its halves, and smaller ones from then on', async () => {
    const destination = await newDestination()
    await world.makeSink(destination, { delivery: { gzip: false } })
    destination.maxBodyBytes = 3_000
    const ids = idsNamed('e', 40)
    await world.archive(linesNamed(ids))
    await untilTaken(server, destination, ids)
    expect(takenIds(destination)).toEqual(ids)
  })

  it('sends to a private address: is refused, and its lines wait', async () => {
    const destination = await newDestination()
    const sink = await world.makeSink(destination)
    const elsewhere = { status: 307, headers: { location: 'http://169.254.169.254/latest' } }
    destination.failures.push(...Array.from({ length: 100 }, () => elsewhere))
    await world.archive(linesNamed(['r1']))
    const { health } = await server.until(async () => {
      const shown = await world.sink(sink.id)
      return shown.health?.state === 'refused' ? shown : null
    })
    expect(health?.lastError?.reason).toContain('redirect')
    expect(takenIds(destination)).toEqual([])
  })

  it.each(['reset', { status: 503 }] as const)(
    'never has its secret URL in the health: %j',
    async (failure) => {
      const destination = await newDestination()
      const url = `${destination.url}/in/path-token?key=query-token`
      const sink = await world.makeSink(destination, { settings: {}, secrets: { url } })
      destination.failures.push(failure)
      await world.archive(linesNamed(['hidden']))
      await untilTaken(server, destination, ['hidden'])
      expect(destination.requests.map(({ url: { pathname, search } }) => `${pathname}${search}`)).toEqual([
        '/in/path-token?key=query-token',
        '/in/path-token?key=query-token',
      ])
      const shown = await server.until(async () => {
        const { health } = await world.sink(sink.id)
        return health?.lastError ?? null
      })
      expect(shown.reason).not.toMatch(/token/)
    },
  )

  it('delays no other', async () => {
    const down = await newDestination()
    const up = await startHttpsServer()
    destinations.push(up)
    const sink = await world.makeSink(down)
    await world.makeSink(up)
    down.failures.push(...Array.from({ length: 1_000 }, () => ({ status: 500 })))
    const ids = idsNamed('f', 10)
    for (const id of ids) await world.archive(linesNamed([id]))
    await untilTaken(server, up, ids)
    expect(takenIds(up)).toEqual(ids)
    const { health } = await server.until(async () => {
      const shown = await world.sink(sink.id)
      return shown.health?.state === 'retrying' ? shown : null
    })
    expect(health?.lag).toMatchObject({ lines: 10, objects: 10 })
    down.failures.length = 0
    await untilTaken(server, down, ids)
    expect(takenIds(down)).toEqual(ids)
  })
})

describe('a line that is refused for good', () => {
  interface Item {
    id: string
    lines: number
    reason: string
  }
  async function quarantine(sinkId: string): Promise<Item[]> {
    const reply = await server.operator('GET', `${world.path}/${sinkId}/quarantine`)
    return reply.json<{ items: Item[] }>().items
  }

  it('is put aside, and the rest goes on; it can be seen, sent again and thrown away', async () => {
    const destination = await newDestination()
    const sink = await world.makeSink(destination)
    destination.poison = 'g0007'
    const ids = idsNamed('g', 16)
    await world.archive(linesNamed(ids), linesNamed(['later']))
    const others = ids.filter((id) => id !== 'g0007')
    await untilTaken(server, destination, [...others, 'later'])
    const items = await server.until(async () => {
      const found = await quarantine(sink.id)
      return found.length > 0 ? found : null
    })
    expect(items).toMatchObject([{ lines: 1, reason: 'answered 400' }])
    const item = `${world.path}/${sink.id}/quarantine/${items[0]?.id}`
    const shown = (await server.operator('GET', item)).json<{ lines: unknown[] }>()
    expect(shown.lines).toMatchObject([{ eventId: 'g0007', reason: 'answered 400', line: { id: 'g0007' } }])

    destination.poison = null
    const begun = await server.operator('POST', `${world.path}/${sink.id}/quarantine/replay`, {})
    expect(begun.status).toBe(202)
    await untilTaken(server, destination, ids)
    expect(await server.until(async () => (await quarantine(sink.id)).length === 0)).toBe(true)
    expect((await server.operator('GET', item)).status).toBe(404)
  })

  it('is not, while nothing at all is taken: then it is the sink that is wrong', async () => {
    const destination = await newDestination()
    const sink = await world.makeSink(destination)
    destination.poison = 'eventId'
    await world.archive(linesNamed(idsNamed('h', 30)))
    await server.until(async () => (await world.sink(sink.id)).health?.state === 'refused')
    const aside = (await quarantine(sink.id)).length
    expect(aside).toBeLessThanOrEqual(10)
    destination.poison = null
    await server.operator('PATCH', `${world.path}/${sink.id}`, { name: 'mended' })
    await server.until(async () => destination.eventIds().size >= 30 - aside)
    expect((await server.operator('DELETE', `${world.path}/${sink.id}/quarantine`)).status).toBe(204)
    expect(await quarantine(sink.id)).toEqual([])
  })
})

describe('a sink', () => {
  it('that is paused waits, and goes on where it was', async () => {
    const destination = await newDestination()
    const sink = await world.makeSink(destination)
    const paused = await server.operator('POST', `${world.path}/${sink.id}/pause`)
    expect(paused.json()).toMatchObject({ paused: true, live: true, health: { state: 'paused' } })
    await world.archive(linesNamed(['p1']))
    await server.until(async () => ((await world.sink(sink.id)).health?.lag?.objects ?? 0) > 0)
    await server.env.SINK.getByName(sink.id).wake(sink.id)
    expect(takenIds(destination)).toEqual([])
    await server.operator('POST', `${world.path}/${sink.id}/resume`)
    await untilTaken(server, destination, ['p1'])
  })

  it('made today gets what was archived before by a replay, beside what comes', async () => {
    const destination = await newDestination()
    const hourMs = 3_600_000
    const atMs = Date.now() - 30 * hourMs
    await world.archive(
      linesNamed(['too-old'], { atMs: atMs - 5 * hourMs }),
      linesNamed(['first', 'other'], { atMs, name: 'wanted' }),
      linesNamed(['unwanted'], { atMs }),
      linesNamed(['second'], { atMs: atMs + 3 * hourMs, name: 'wanted' }),
    )
    const sink = await world.makeSink(destination)
    const replay = await server.operator('POST', `${world.path}/${sink.id}/replay`, {
      since: new Date(atMs - hourMs).toISOString(),
      filter: { queries: ['want*'] },
    })
    expect(replay.status).toBe(202)
    const { id } = replay.json<{ id: string }>()
    await world.archive(linesNamed(['now']))
    await untilTaken(server, destination, ['first', 'other', 'second', 'now'])
    const done = await server.until(async () => {
      const shown = await server.operator('GET', `${world.path}/${sink.id}/replays/${id}`)
      return shown.json<{ status: string }>().status === 'done' ? shown : null
    })
    expect(done.json()).toMatchObject({ progress: 1, delivered: { lines: 3 }, source: 'archive' })
    expect(takenIds(destination).toSorted()).toEqual(['first', 'now', 'other', 'second'])
  })

  it('ends a replay that is cancelled', async () => {
    const destination = await newDestination()
    const atMs = Date.now() - 3_600_000
    await world.archive(linesNamed(['once'], { atMs }))
    const sink = await world.makeSink(destination)
    destination.failures.push(...Array.from({ length: 100 }, () => ({ status: 500 })))
    const replay = await server.operator('POST', `${world.path}/${sink.id}/replay`, {
      since: new Date(atMs - 1_000).toISOString(),
    })
    const path = `${world.path}/${sink.id}/replays/${replay.json<{ id: string }>().id}`
    await server.until(async () => destination.requests.length > 0)
    expect((await server.operator('DELETE', path)).status).toBe(204)
    destination.failures.length = 0
    expect((await server.operator('GET', path)).json()).toMatchObject({ status: 'cancelled' })
    await world.archive(linesNamed(['after']))
    await untilTaken(server, destination, ['after'])
    expect(takenIds(destination)).toEqual(['after'])
  })

  it('that lost its memory goes on, with the same batch under the same key', async () => {
    const destination = await newDestination()
    const sink = await world.makeSink(destination)
    destination.failures.push({ status: 500 })
    await world.archive(linesNamed(['m1', 'm2']))
    await server.until(async () => destination.requests.length > 0)
    await server.evict('SINK', { name: sink.id })
    await world.archive(linesNamed(['m3']))
    await untilTaken(server, destination, ['m1', 'm2', 'm3'])
    const keys = keysOf(destination)
    expect(keys[1]).toBe(keys[0])
    expect(takenIds(destination)).toEqual(['m1', 'm2', 'm3'])
  })

  it('that was deleted follows no longer', async () => {
    const destination = await newDestination()
    const sink = await world.makeSink(destination)
    expect((await server.operator('DELETE', `${world.path}/${sink.id}`)).status).toBe(204)
    expect((await server.operator('GET', `${world.path}/${sink.id}`)).status).toBe(404)
    const archive = server.env.ARCHIVE_INDEX.getByName(world.environmentId)
    expect(await archive.add([])).toEqual([])
  })

  it('whose wake-up was lost is woken by the schedule', async () => {
    const destination = await newDestination()
    await world.makeSink(destination)
    const DELIVERIES = { sendBatch: () => Promise.reject(new Error('away')) }
    const env = new Proxy(server.env, {
      get: (target, name) => (name === 'DELIVERIES' ? DELIVERIES : Reflect.get(target, name)),
    })
    await writeObjects(env, world.environmentId, [linesNamed(['s1'])])
    expect(takenIds(destination)).toEqual([])
    await server.worker.scheduled({ cron: '* * * * *', scheduledTime: new Date(0) })
    await untilTaken(server, destination, ['s1'])
  })

  it('whose definition did not reach it learns it from D1 when it is woken', async () => {
    const destination = await newDestination()
    const sink = await world.makeSink(destination)
    const id = crypto.randomUUID()
    await server.env.DB.prepare(
      `INSERT INTO sinks SELECT ?1, environment_id, 'unheard', kind, settings, secrets, secret_names, filter, delivery,
         paused, revision, created_at, updated_at FROM sinks WHERE id = ?2`,
    )
      .bind(id, sink.id)
      .run()
    expect((await world.sink(id)).live).toBe(false)
    await server.worker.scheduled({ cron: '* * * * *', scheduledTime: new Date(0) })
    await server.until(async () => (await world.sink(id)).live)
  })
})
