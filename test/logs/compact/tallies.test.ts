/** What compaction counts on its way: volume, gaps of counters, newest snapshots. */

import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { utf8 } from '../../../src/lib/bytes.ts'
import { ArchiveWriter } from '../../../src/logs/archive-writer.ts'
import { envelopeOf, type LineType } from '../../../src/logs/line.ts'
import { NOTHING_KNOWN, sourceOf, UNKNOWN_NAME } from '../../../src/logs/source-facts.ts'
import { startServer, type TestServer } from '../../support/harness.ts'
import { allPages, created } from '../../support/operator.ts'
import { originAt, type LogItem } from '../support.ts'
import { compactAll, HOUR_MS, newEnvironment, NODES, START_MS } from './support.ts'

let server: TestServer
beforeAll(async () => {
  server = await startServer()
})
afterAll(() => server.close())

const [A = '', B = ''] = NODES
let ids = 0

interface Sent {
  nodeId: string
  type: LineType
  name: string
  atMs: number
  line: object
}

async function send(environment: string, sent: readonly Sent[]): Promise<void> {
  const writer = new ArchiveWriter(server.env)
  for (const [index, { nodeId, type, name, atMs, line }] of sent.entries()) {
    ids += 1
    const eventId = ids.toString(16).padStart(16, '0').repeat(2)
    const source = sourceOf(originAt(environment, nodeId, START_MS + atMs), NOTHING_KNOWN)
    const facts = { type, name, ...UNKNOWN_NAME, eventId, index }
    await writer.add(eventId, source, facts, envelopeOf(source, facts, utf8(JSON.stringify(line))))
  }
  expect([...(await writer.flush())]).toEqual([])
}

function result(nodeId: string, atMs: number, counter: number, epoch = 0): Sent {
  return { nodeId, type: 'result', name: 'users', atMs, line: { name: 'users', epoch, counter } }
}

function snapshot(nodeId: string, atMs: number, rows: number): Sent {
  const line = { snapshot: Array.from({ length: rows }, (_, n) => ({ n: String(n) })), name: 'pack/all' }
  return { nodeId, type: 'snapshot', name: 'pack/all', atMs, line }
}

async function get<T>(path: string): Promise<T> {
  return created<T>(await server.operator('GET', path), 200)
}

interface Finding {
  kind: string
  nodeId: string
  epoch: number
  from: number | null
  to: number | null
}

async function findings(environment: string): Promise<Finding[]> {
  const { items } = await get<{ items: Finding[] }>(`/environments/${environment}/logs/gaps`)
  return items.map(({ kind, nodeId, epoch, from, to }) => ({ kind, nodeId, epoch, from, to }))
}

describe('volume', () => {
  it('is counted by query, node and type, says through when, and forgets who was erased', async () => {
    const environment = await newEnvironment(server)
    const status: Sent = { nodeId: B, type: 'status', name: '', atMs: 0, line: { message: 'x' } }
    await send(environment, [result(A, 0, 0), result(A, 1, 1), result(B, 2, 0), status])
    const path = `/environments/${environment}/logs/volume?since=2026-06-01&until=2026-06-01`
    const waiting = await get<{ items: object[]; countedThrough: string }>(path)
    expect(waiting).toEqual({ items: [], countedThrough: '2026-06-01T12:00:00.000Z' })
    await compactAll(server.env, environment)
    const length = JSON.stringify({ name: 'users', epoch: 0, counter: 0 }).length
    const users = { day: '2026-06-01', lines: 3, bytes: 3 * length }
    const other = { day: '2026-06-01', lines: 1, bytes: 15 }
    expect(await get(path)).toEqual({
      items: [
        { ...users, group: 'users' },
        { ...other, group: '' },
      ],
      countedThrough: null,
    })
    expect(await get(`${path}&by=type&type=result`)).toMatchObject({ items: [{ ...users, group: 'result' }] })
    expect(await get(`${path}&by=node&top=1`)).toMatchObject({
      items: [
        { group: A, lines: 2 },
        { group: null, lines: 2 },
      ],
    })
    expect(await get(`${path}&by=query&node=${B}`)).toMatchObject({
      items: [{ group: 'users', lines: 1 }, { group: '' }],
    })
    await server.operator('DELETE', `/environments/${environment}/nodes/${A}/logs`)
    await compactAll(server.env, environment)
    expect(await get(path)).toMatchObject({
      items: [
        { group: 'users', lines: 1 },
        { group: '', lines: 1 },
      ],
    })
  })
})

describe('counters', () => {
  it('that are left out are a gap, until their lines come late', async () => {
    const environment = await newEnvironment(server)
    await send(
      environment,
      [0, 1, 1, 2, 6].map((counter, n) => result(A, n * 1_000, counter)),
    )
    await compactAll(server.env, environment)
    expect(await findings(environment)).toEqual([{ kind: 'gap', nodeId: A, epoch: 0, from: 3, to: 5 }])
    await send(environment, [result(A, 3_500, 4)])
    await compactAll(server.env, environment)
    expect(await findings(environment)).toEqual([
      { kind: 'gap', nodeId: A, epoch: 0, from: 5, to: 5 },
      { kind: 'gap', nodeId: A, epoch: 0, from: 3, to: 3 },
    ])
  })

  it('that begin anew are an epoch or a reset; full first sets are marked', async () => {
    const environment = await newEnvironment(server)
    await send(environment, [result(A, 0, 0), result(A, 1_000, 1), result(A, 2_000, 0, 7)])
    await send(environment, [result(A, HOUR_MS, 1, 7), result(A, HOUR_MS + 1_000, 0, 7)])
    await compactAll(server.env, environment)
    expect(await findings(environment)).toEqual([
      { kind: 'reset', nodeId: A, epoch: 7, from: null, to: null },
      { kind: 'epoch', nodeId: A, epoch: 7, from: null, to: null },
    ])
    const { items } = await get<{ items: object[] }>(`/environments/${environment}/nodes/${A}/logs/counters`)
    const fullSetAt = new Date(START_MS + HOUR_MS + 1_000).toISOString()
    expect(items).toEqual([{ name: 'users', epoch: 7, counter: 0, receivedAt: fullSetAt, fullSetAt }])
  })
})

describe('newest snapshots', () => {
  const path = (environment: string) => `/environments/${environment}/scheduled-queries/pack%2Fall/latest`

  it('are given for queries that were opted in', async () => {
    const environment = await newEnvironment(server)
    expect((await server.operator('GET', path(environment))).status).toBe(404)
    await server.operator('PUT', `/environments/${environment}/latest-snapshots`, { names: ['pack/*'] })
    expect(await get(path(environment))).toEqual({ items: [], nextCursor: null, incompleteFrom: null })
  })

  it('are one for each node, compacted or not, with all their rows', async () => {
    const environment = await newEnvironment(server)
    await server.operator('PUT', `/environments/${environment}/latest-snapshots`, { names: ['pack/*'] })
    await send(environment, [snapshot(A, 0, 1), snapshot(B, 0, 2), snapshot(B, 5_000, 1_500)])
    await compactAll(server.env, environment)
    await send(environment, [snapshot(A, HOUR_MS, 3), snapshot(NODES[3] ?? '', HOUR_MS, 4)])
    for (const limit of [1, 2, 100]) {
      const items = await allPages<LogItem>(server, path(environment), limit)
      const shown = items.map(({ nodeId, line }) => [
        nodeId,
        (line?.['snapshot'] as object[] | undefined)?.length,
      ])
      expect(shown).toEqual([
        [A, 3],
        [B, 1_500],
        [NODES[3], 4],
      ])
    }
    await compactAll(server.env, environment)
    expect(await allPages<LogItem>(server, path(environment), 2)).toHaveLength(3)
  })
})
