/** Quarantine and inbox: what is not in the archive, and what operators can do about it. */

import '../support/workerd-crypto.ts'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { utf8 } from '../../src/lib/bytes.ts'
import { metadataOf } from '../../src/logs/inbox.ts'
import { LATE_AFTER_MS } from '../../src/logs/inbox-list.ts'
import { putQuarantine } from '../../src/logs/quarantine.ts'
import { alarmOldQuarantine } from '../../src/logs/quarantine-alarm.ts'
import { sweepInbox } from '../../src/logs/sweep.ts'
import { idsOf, logBody, originAt, type LogList } from '../logs/support.ts'
import { startServer, type TestServer } from '../support/harness.ts'
import { created, makeEnvironment, problemOf } from '../support/operator.ts'

let server: TestServer
beforeAll(async () => {
  server = await startServer()
})
afterAll(() => server.close())

const AT_MS = Date.UTC(2026, 4, 1, 12)

let hosts = 0
async function newNode() {
  hosts += 1
  const nodeKey = await server.enroll(`aside-${hosts}`)
  return { nodeKey, ...idsOf(nodeKey) }
}

interface Item {
  id: string
  reason: string
  nodeId: string
  bytes: number
}

async function putAside(
  node: { environmentId: string; nodeId: string },
  text: string,
  change: { route?: string; reason?: string; receivedAtMs?: number } = {},
): Promise<string> {
  const facts = { route: 'log', reason: 'unexpected-shape', receivedAtMs: AT_MS, ...change }
  const { environmentId, nodeId } = node
  return putQuarantine(server.env, { environmentId, nodeId, ...facts, bytes: utf8(text) })
}

async function lastAudit(environment: string): Promise<{ action: string; subject: string; detail: object }> {
  const reply = await server.operator('GET', `/audit?environment=${environment}&limit=1`)
  const [row] = reply.json<{ items: { action: string; subject: string; detail: object }[] }>().items
  if (row === undefined) throw new Error('no audit row')
  return row
}

describe('quarantine', () => {
  it('shows an item and its bytes', async () => {
    const node = await newNode()
    const id = await putAside(node, '<script>')
    expect(created(await server.operator('GET', `/environments/default/quarantine/${id}`), 200)).toEqual({
      id,
      reason: 'unexpected-shape',
      route: 'log',
      nodeId: node.nodeId,
      bytes: 8,
      receivedAt: '2026-05-01T12:00:00.000Z',
    })
    const content = await server.operator('GET', `/environments/default/quarantine/${id}/content`)
    expect([content.status, content.text]).toEqual([200, '<script>'])
    expect(content.headers.get('content-type')).toBe('application/octet-stream')
    expect(content.headers.get('x-content-type-options')).toBe('nosniff')
  })

  it('replays a log body: its lines appear as received then, the item stays', async () => {
    const node = await newNode()
    const id = await putAside(node, logBody(node.nodeKey, 'result', ['{"name":"rescued"}']))
    const path = `/environments/default/quarantine/${id}`
    expect(created(await server.operator('POST', `${path}/replay`), 202)).toEqual({ id })
    expect(await lastAudit('default')).toMatchObject({ action: 'quarantine.replay', subject: id })
    const [line] = await server.until(async () => {
      const reply = await server.operator('GET', `/environments/default/logs?node=${node.nodeId}`)
      const { items } = reply.json<LogList>()
      return items.length > 0 ? items : null
    })
    expect(line).toMatchObject({
      name: 'rescued',
      platform: 'linux',
      hostname: `aside-${hosts}`,
      receivedAt: '2026-05-01T12:00:00.000Z',
    })
    expect((await server.operator('GET', path)).status).toBe(200)
  })

  it.each([
    ['another endpoint', { route: 'distributed/write' }],
    ['the rest of a body', { reason: 'not-an-object' }],
  ])('refuses to replay %s', async (_what, change) => {
    const id = await putAside(await newNode(), '{}', change)
    const reply = await server.operator('POST', `/environments/default/quarantine/${id}/replay`)
    expect(problemOf(reply)).toEqual({ status: 409, pointers: [] })
  })

  it('deletes an item, with its audit row', async () => {
    const node = await newNode()
    const id = await putAside(node, 'gone')
    const path = `/environments/default/quarantine/${id}`
    expect((await server.operator('DELETE', path)).status).toBe(204)
    const detail = { reason: 'unexpected-shape', nodeId: node.nodeId, bytes: 4 }
    expect(await lastAudit('default')).toMatchObject({ action: 'quarantine.delete', subject: id, detail })
    for (const method of ['GET', 'DELETE']) expect((await server.operator(method, path)).status).toBe(404)
  })

  it('deletes what was received before a time, and nothing else', async () => {
    const { id: environmentId } = await makeEnvironment(server, 'purged')
    const node = { environmentId, nodeId: '0b000000-0000-4000-8000-000000000001' }
    const at = (ms: number) => putAside(node, String(ms), { receivedAtMs: AT_MS + ms })
    const [, , same, after] = [await at(-2), await at(-1), await at(0), await at(1)]
    const before = new Date(AT_MS).toISOString()
    const reply = await server.operator('DELETE', `/environments/purged/quarantine?before=${before}`)
    expect(created(reply, 200)).toEqual({ purged: 2, complete: true })
    expect(await lastAudit('purged')).toMatchObject({ action: 'quarantine.purge', detail: { before } })
    const { items } = created<{ items: Item[] }>(
      await server.operator('GET', '/environments/purged/quarantine'),
      200,
    )
    expect(items.map(({ id }) => id)).toEqual([after, same])
    const without = await server.operator('DELETE', '/environments/purged/quarantine')
    expect(problemOf(without)).toEqual({ status: 422, pointers: ['before'] })
  })

  it('raises an alarm once a day for what nobody looked after', async () => {
    const { id: environmentId } = await makeEnvironment(server, 'neglected')
    const node = { environmentId, nodeId: '0b000000-0000-4000-8000-000000000001' }
    await putAside(node, 'old', { receivedAtMs: AT_MS })
    const alarms: { event: string; environment: string; receivedAt: string }[] = []
    const spy = vi.spyOn(console, 'error').mockImplementation((text: string) => {
      alarms.push(JSON.parse(text) as (typeof alarms)[number])
    })
    const midnight = (days: number) => Date.UTC(2026, 4, 2 + days)
    await alarmOldQuarantine(server.env, midnight(6))
    await alarmOldQuarantine(server.env, midnight(7) + 60_000)
    const before = alarms.filter(({ environment }) => environment === environmentId)
    await alarmOldQuarantine(server.env, midnight(7) + 30_000)
    spy.mockRestore()
    expect(before).toEqual([])
    expect(alarms.filter(({ environment }) => environment === environmentId)).toMatchObject([
      { event: 'quarantine-old', receivedAt: '2026-05-01T12:00:00.000Z' },
    ])
  })

  it("does not reach another environment's items", async () => {
    const id = await putAside(await newNode(), 'mine')
    await makeEnvironment(server, 'curious')
    for (const [method, rest] of [
      ['GET', ''],
      ['GET', '/content'],
      ['POST', '/replay'],
      ['DELETE', ''],
    ] as const) {
      const reply = await server.operator(method, `/environments/curious/quarantine/${id}${rest}`)
      expect([method, rest, reply.status]).toEqual([method, rest, 404])
    }
    expect((await server.operator('GET', '/environments/default/quarantine/..%2F..%2Fx')).status).toBe(404)
  })
})

describe('the inbox', () => {
  /** A body as the edge leaves it behind; the sweeper of this test's server does not run by itself. */
  async function leaveBehind(): Promise<{ id: string; nodeId: string; key: string; text: string }> {
    const { nodeKey, environmentId, nodeId } = await newNode()
    const id = crypto.randomUUID()
    const key = `inbox/${environmentId}/${id}`
    const text = logBody(nodeKey, 'result', ['{"name":"stuck"}'])
    const customMetadata = metadataOf(originAt(environmentId, nodeId, AT_MS), null)
    await server.env.ARCHIVE.put(key, text, { customMetadata })
    return { id, nodeId, key, text }
  }

  it('lists and shows what waits', async () => {
    const { id, nodeId, text } = await leaveBehind()
    const item = { id, nodeId, bytes: text.length, receivedAt: '2026-05-01T12:00:00.000Z', late: false }
    const list = created<{ items: Item[] }>(await server.operator('GET', '/environments/default/inbox'), 200)
    expect(list.items).toContainEqual(item)
    const path = `/environments/default/inbox/${id}`
    expect(created(await server.operator('GET', path), 200)).toEqual(item)
    expect((await server.operator('GET', `${path}/content`)).text).toBe(text)
  })

  it('replays: the consumer is told, the lines appear, the inbox is empty', async () => {
    const { id, nodeId, key } = await leaveBehind()
    created(await server.operator('POST', `/environments/default/inbox/${id}/replay`), 202)
    await server.until(async () => (await server.env.ARCHIVE.head(key)) === null)
    const reply = await server.operator('GET', `/environments/default/logs?node=${nodeId}`)
    expect(reply.json<LogList>().items).toMatchObject([{ name: 'stuck' }])
    expect(await lastAudit('default')).toMatchObject({ action: 'inbox.replay', subject: id })
  })

  it('deletes, with its audit row', async () => {
    const { id, nodeId, text } = await leaveBehind()
    const path = `/environments/default/inbox/${id}`
    expect((await server.operator('DELETE', path)).status).toBe(204)
    const detail = { nodeId, bytes: text.length }
    expect(await lastAudit('default')).toMatchObject({ action: 'inbox.delete', subject: id, detail })
    expect((await server.operator('DELETE', path)).status).toBe(404)
  })

  it('raises an alarm for what has waited for long', async () => {
    await leaveBehind()
    const errors: string[] = []
    const spy = vi.spyOn(console, 'error').mockImplementation((text: string) => void errors.push(text))
    const env = { ...server.env, LOGS: { sendBatch: () => Promise.resolve() } } as unknown as Env
    await sweepInbox(env, Date.now() + LATE_AFTER_MS - 60_000)
    expect(errors).toEqual([])
    await sweepInbox(env, Date.now() + LATE_AFTER_MS + 60_000)
    spy.mockRestore()
    expect(errors.map((text) => (JSON.parse(text) as { event: string }).event)).toEqual(['inbox-late'])
  })
})
