/** GET …/logs/tail: what those who watch see, and that nobody else pays for it. */

import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { startServer, type TestServer } from '../../support/harness.ts'
import { created, makeEnvironment, problemOf } from '../../support/operator.ts'
import { defaultEnvironmentId } from '../../support/queries.ts'
import { idsOf, logBody, sendLog } from '../support.ts'
import { missedOf, numbersOf, openSlowTail, watchTail, type TailLine } from './support.ts'

let server: TestServer
let nodeKey: string
let otherKey: string
let environmentId: string
/** Ends whoever watches still. */
const closers: (() => unknown)[] = []
beforeAll(async () => {
  server = await startServer()
  nodeKey = await server.enroll('web-1')
  otherKey = await server.enroll('other')
  environmentId = await defaultEnvironmentId(server)
})
afterAll(() => server.close())
afterEach(async () => {
  await Promise.all(closers.splice(0).map((close) => close()))
})

async function watch(...how: Parameters<typeof watchTail> extends [unknown, ...infer Rest] ? Rest : never) {
  const viewer = await watchTail(server, ...how)
  closers.push(() => viewer.close())
  return viewer
}

function result(n: number | string, more: Record<string, unknown> = {}): string {
  return JSON.stringify({ name: 'uptime', action: 'added', columns: { n: String(n) }, n, ...more })
}

function send(lines: readonly string[], key = nodeKey, type = 'result'): Promise<void> {
  return sendLog(server, logBody(key, type, lines))
}

async function followers(): Promise<string[]> {
  const stub = server.env.ARCHIVE_INDEX.getByName(environmentId)
  return (await stub.add([])).map(({ kind }) => kind)
}

describe('a viewer over HTTP', () => {
  test('sees lines as they come in, from now on, as reading gives them', async () => {
    await send([result('before')])
    await server.until(async () =>
      (await server.operator('GET', '/environments/default/logs')).text.includes('before'),
    )
    const viewer = await watch()
    await send([result(1), result(2)])
    const line = await viewer.line((seen) => seen.line?.['n'] === 2)
    expect(viewer.numbers()).toEqual([1, 2])
    const page = await server.operator('GET', '/environments/default/logs')
    const read = page.json<{ items: { eventId: string }[] }>().items
    expect(read.find(({ eventId }) => eventId === line.eventId)).toEqual(line)
  })

  test.each([
    ['node', () => `?node=${idsOf(nodeKey).nodeId}`, ['status', 'wanted']],
    ['type', () => '?type=status', ['status']],
    ['name', () => '?name=pack_*_users', ['wanted']],
    ['column', () => '?column=user&value=alice', ['status', 'wanted']],
    ['text', () => '?text=N%C3%84DEL', ['status', 'wanted']],
  ])('filters by %s', async (by, query, expected) => {
    const [all, filtered] = [await watch(), await watch(query())]
    // Other bytes each time: the same line again would be a resend.
    const more = { name: 'pack_x_users', columns: { user: 'alice' }, note: 'nädel', by }
    await send([result('noise', { by })], otherKey)
    await send(
      [JSON.stringify({ severity: '0', n: 'status', user: 'alice', note: 'nädel', by })],
      nodeKey,
      'status',
    )
    await send([result('wanted', more)])
    await server.until(async () => all.numbers().length === 3)
    await server.until(async () => filtered.numbers().length >= expected.length)
    expect(
      filtered
        .numbers()
        .map(String)
        .toSorted((a, b) => a.localeCompare(b)),
    ).toEqual(expected)
  })

  test('sees a line once that its agent sent twice', async () => {
    const viewer = await watch()
    await send([result('twice')])
    await viewer.line(({ line }) => line?.['n'] === 'twice')
    await send([result('twice'), result('after')])
    await viewer.line(({ line }) => line?.['n'] === 'after')
    expect(viewer.numbers()).toEqual(['twice', 'after'])
  })

  test('sees nothing of other environments', async () => {
    const { secret } = await makeEnvironment(server, 'other')
    const reply = await server.agent('/api/osquery/enroll', { enroll_secret: secret, host_identifier: 'x' })
    const [ours, theirs] = [await watch(), await watch('', { environment: 'other' })]
    await send([result('theirs')], reply.json<{ node_key: string }>().node_key)
    await theirs.line(({ line }) => line?.['n'] === 'theirs')
    await send([result('ours')])
    await ours.line(({ line }) => line?.['n'] === 'ours')
    expect([ours.numbers(), theirs.numbers()]).toEqual([['ours'], ['theirs']])
  })

  test('gets all of a burst if it reads', async () => {
    const viewer = await watch()
    const padding = 'x'.repeat(1_000)
    for (let batch = 0; batch < 5; batch += 1) {
      await send(Array.from({ length: 1_000 }, (_, n) => result(batch * 1_000 + n, { padding, of: 'burst' })))
    }
    await server.until(async () => viewer.numbers().length === 5_000)
    expect(missedOf(viewer.seen)).toBe(0)
  })

  test('that stands still misses lines, is told how many, and harms nobody', async () => {
    const slow = await openSlowTail(server)
    closers.push(() => slow.destroy())
    const quick = await watch('?text=last')
    const padding = 'x'.repeat(4_000)
    let sent = 0
    // More than all the buffers between take up, however many they are.
    for (; sent < 8_000; sent += 2_000) {
      const from = sent
      await send(Array.from({ length: 2_000 }, (_, n) => result(from + n, { padding, of: 'slow' })))
    }
    await send([result('last')])
    await quick.line(({ line }) => line?.['n'] === 'last')
    const text = await slow.readUntil(/"n":"last"|"type":"gap","lines":\d+\}\n/)
    const lines = text.split('\n').filter((line) => line.startsWith('{'))
    const seen = lines.map((line) => JSON.parse(line) as TailLine)
    expect(numbersOf(seen).length).toBeGreaterThan(0)
    expect(missedOf(seen)).toBeGreaterThan(0)
    expect(numbersOf(seen).length + missedOf(seen)).toBe(sent + 1)
  })

  test('is not told what cannot be asked', async () => {
    const ask = (query: string) => server.operator('GET', `/environments/default/logs/tail${query}`)
    expect(problemOf(await ask('?column=user'))).toEqual({ status: 422, pointers: ['value'] })
    expect(problemOf(await ask('?node=x'))).toEqual({ status: 422, pointers: ['node'] })
    expect(problemOf(await ask('?type=x'))).toEqual({ status: 422, pointers: ['type'] })
    expect((await server.operator('GET', '/environments/nowhere/logs/tail')).status).toBe(404)
    const anonymous = await server.harness.fetch('/api/v1/environments/default/logs/tail')
    expect(anonymous.status).toBe(401)
  })
})

describe('the archive', () => {
  test('is followed while somebody watches, and no longer', async () => {
    const viewers = [await watch(), await watch()]
    expect(await followers()).toContain('tail')
    await viewers[0]?.close()
    await send([result('still')])
    await viewers[1]?.line(({ line }) => line?.['n'] === 'still')
    await viewers[1]?.close()
    // That a reader is gone shows when something is written to it.
    await server.until(async () => {
      await send([result(crypto.randomUUID())])
      return !(await followers()).includes('tail')
    })
    const storage = await server.worker.getDurableObjectStorage('TAIL', { name: environmentId })
    expect(await storage.exec('SELECT * FROM tail')).toEqual([])
  })
})

describe('an operator token that is revoked', () => {
  test('ends what was watched with it', async () => {
    const { id, token } = created<{ id: string; token: string }>(
      await server.operator('POST', '/operator-tokens', { name: 'short-lived' }),
    )
    const viewer = await watch('', { token })
    const stays = await watch()
    await server.operator('DELETE', `/operator-tokens/${id}`)
    const last = await server.until(async () => {
      await send([result(crypto.randomUUID())])
      return viewer.seen.find(({ type }) => type === 'end')
    })
    expect(last.reason).toBe('the operator token was revoked')
    await viewer.ended
    await send([result('stays')])
    await stays.line(({ line }) => line?.['n'] === 'stays')
  })
})
