import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { NodeSet } from '../../src/fleet/node-set.ts'
import { textOf, utf8 } from '../../src/lib/bytes.ts'
import { readCounts } from '../../src/queries/read.ts'
import { answerShardStub } from '../../src/queries/shard-name.ts'
import type { EnvironmentHead } from '../../src/snapshot/head.ts'
import { headKey, partKey } from '../../src/snapshot/keys.ts'
import { shardOf } from '../../src/snapshot/remaining.ts'
import { STARTER_CONFIGURATION, startServer, type TestServer } from '../support/harness.ts'
import { makeEnvironment } from '../support/operator.ts'
import { defaultEnvironmentId, openQuery, type OpenedQuery } from '../support/queries.ts'

let server: TestServer
let environmentId: string
beforeAll(async () => {
  server = await startServer()
  environmentId = await defaultEnvironmentId(server)
})
afterAll(() => server.close())

function environment(id = environmentId) {
  return server.env.ENVIRONMENT.getByName(id)
}

async function headOf(id = environmentId): Promise<EnvironmentHead> {
  const head = await environment(id).head()
  if (head === null) throw new Error('the environment has a head')
  return head
}

/** Runs a change together with its revision, as operators' routes do; the new revision. Snapshots do not hear of it. */
async function changed(change: string, values: readonly unknown[] = [], id = environmentId): Promise<number> {
  const { DB } = server.env
  const [raised] = await DB.batch<{ revision: number }>([
    DB.prepare('UPDATE environments SET revision = revision + 1 WHERE id = ? RETURNING revision').bind(id),
    ...(change === '' ? [] : [DB.prepare(change).bind(...values)]),
  ])
  return raised?.results[0]?.revision ?? 0
}

/** A node's row at least as far as snapshots look at it. */
function insertNodes(count: number, id: string): Promise<number> {
  const columns = `id, environment_id, ordinal, identity, hostname, platform, platform_family, osquery_version,
    host_identifier, hardware_uuid, hardware_serial, instance_id, host_details, first_enrolled_at, enrolled_at`
  const select = `WITH RECURSIVE n (ordinal) AS (SELECT 0 UNION ALL SELECT ordinal + 1 FROM n WHERE ordinal + 1 < ?2)
    SELECT ?1 || '/' || ordinal, ?1, ordinal, 'host:' || ordinal, '', '', '', '', '', '', '', '', '{}', 0, 0 FROM n`
  return changed(`INSERT INTO nodes (${columns}) ${select}`, [id, count], id)
}

async function statusOf({ id }: OpenedQuery): Promise<string | undefined> {
  const row = await server.env.DB.prepare('SELECT status FROM queries WHERE id = ?')
    .bind(id)
    .first<{ status: string }>()
  return row?.status
}

async function numbersInHead(): Promise<number[]> {
  return (await headOf()).queries.map(({ number }) => number)
}

async function membersOf(hash: string | null, id = environmentId): Promise<number[]> {
  const bytes = hash === null ? null : await environment(id).part(hash)
  return bytes === null ? [] : [...NodeSet.fromBytes(bytes)]
}

describe('a snapshot', () => {
  it('is compiled when it is first asked for; an environment that does not exist has none', async () => {
    const head = await headOf()
    expect(head).toMatchObject({ format: 1, environmentId, name: 'default', revokedPart: null, queries: [] })
    const document = await environment().part(head.configurationParts[0] ?? '')
    expect(textOf(document ?? utf8(''))).toBe(STARTER_CONFIGURATION)
    expect(await environment('0192f0e1-d2c3-7a6b-8c5d-9e8f00112233').head()).toBeNull()
    expect(await environment().part('unknown')).toBeNull()
  })

  it('says what the names in log lines stand for; a head of before there were names is made anew', async () => {
    const names = async () => textOf((await environment().part((await headOf()).namesPart ?? '')) ?? utf8(''))
    expect(await names()).toBe('{"format":1,"names":[["uptime",[null,"uptime"]]]}')
    const storage = await server.worker.getDurableObjectStorage('ENVIRONMENT', { name: environmentId })
    await storage.exec("UPDATE head SET json = json_remove(json, '$.namesPart', '$.retention')")
    expect((await headOf()).namesPart).toBeUndefined()
    const { revision } = await headOf()
    // What its alarm does, every five minutes.
    await environment().refresh(revision, true)
    expect(await headOf()).toMatchObject({ revision, retention: {} })
    expect(await names()).toBe('{"format":1,"names":[["uptime",[null,"uptime"]]]}')
  })

  it('is made anew where a Worker of before nodes were split made it, or let the part of superseded keys go', async () => {
    const { revision } = await headOf()
    const storage = await server.worker.getDurableObjectStorage('ENVIRONMENT', { name: environmentId })
    await storage.exec("UPDATE head SET json = json_remove(json, '$.supersededPart')")
    await environment().refresh(revision, true)
    expect(await headOf()).toMatchObject({ revision, supersededPart: null })
    await storage.exec("UPDATE head SET json = json_set(json, '$.supersededPart', 'gone')")
    await environment().refresh(revision, true)
    expect(await headOf()).toMatchObject({ revision, supersededPart: null })
  })

  it('is published for a higher revision only', async () => {
    const before = await headOf()
    for (const revision of [0, 1, before.revision]) {
      expect(await environment().refresh(revision, false)).toEqual({
        revision: before.revision,
        heldBack: null,
      })
    }
    expect(await headOf()).toEqual(before)
    const revision = await changed('')
    expect(await headOf()).toEqual(before)
    expect(await environment().refresh(revision, false)).toEqual({ revision, heldBack: null })
    expect(await headOf()).toEqual({ ...before, revision, publication: before.publication + 1 })
  })

  it('is not raised by a revision that D1 does not have', async () => {
    const before = await headOf()
    expect(await environment().refresh(before.revision + 100, false)).toEqual({
      revision: before.revision,
      heldBack: null,
    })
    expect(await headOf()).toEqual(before)
  })

  it('is there for everybody who asked at once, and is the newest', async () => {
    const revisions: number[] = []
    for (let i = 0; i < 5; i += 1) revisions.push(await changed(''))
    const results = await Promise.all(revisions.map((revision) => environment().refresh(revision, false)))
    for (const [index, { revision }] of results.entries())
      expect(revision).toBeGreaterThanOrEqual(revisions[index] ?? 0)
    expect((await headOf()).revision).toBe(revisions.at(-1))
  })

  it('is copied to R2 with its parts, where the edge reads when the object is away', async () => {
    await openQuery(server, 'SELECT 1 AS copied', [0])
    const head = await headOf()
    const { ARCHIVE } = server.env
    const copy = await server.until(async () => {
      const found = await (await ARCHIVE.get(headKey(environmentId)))?.json<EnvironmentHead>()
      return found?.publication === head.publication ? found : null
    })
    expect(copy).toEqual(head)
    for (const hash of [...head.configurationParts, ...head.queries.map(({ targetPart }) => targetPart)]) {
      const bytes = await (await ARCHIVE.get(partKey(environmentId, hash)))?.bytes()
      expect(bytes).toEqual(await environment().part(hash))
    }
  })
})

describe('a query in the snapshot', () => {
  it('is listed with whom it waits for; the answered leave the set, and the query the head', async () => {
    const query = await openQuery(server, 'SELECT 1 AS waits', [1, 5, 70_000])
    const inHead = async () => (await headOf()).queries.find(({ number }) => number === query.number)
    expect(await inHead()).toMatchObject({ kind: 'query', shards: 4 })
    expect(await membersOf((await inHead())?.targetPart ?? null)).toEqual([1, 5, 70_000])
    const report = (shard: number, ordinals: number[]) =>
      environment().reportRemaining(shard, [{ number: query.number, bits: NodeSet.of(ordinals).toBytes() }])
    await report(1, [5])
    expect(await membersOf((await inHead())?.targetPart ?? null)).toEqual([5, 70_000])
    await report(1, [])
    await report(0, [])
    expect(await inHead()).toBeUndefined()
    expect(await statusOf(query)).toBe('complete')
  })

  it('reports of queries that are not open change nothing', async () => {
    const before = await headOf()
    await environment().reportRemaining(0, [{ number: 999_999, bits: NodeSet.of([1]).toBytes() }])
    expect(await headOf()).toEqual(before)
  })

  it('leaves the head when it is stopped, and shards are not told of it any more', async () => {
    const query = await openQuery(server, 'SELECT 1 AS stopped', [1])
    expect(await numbersInHead()).toContain(query.number)
    expect(await environment().definitions([query.number])).toMatchObject([
      { id: query.id, sql: 'SELECT 1 AS stopped', shards: 4 },
    ])
    const revision = await changed("UPDATE queries SET status = 'stopped' WHERE id = ?", [query.id])
    await environment().refresh(revision, false)
    expect(await numbersInHead()).not.toContain(query.number)
    expect(await environment().definitions([query.number])).toEqual([])
    await environment().reportRemaining(1, [{ number: query.number, bits: NodeSet.of([]).toBytes() }])
    expect(await statusOf(query)).toBe('stopped')
  })

  it('is closed by the alarm when its time is over, and D1 says expired', async () => {
    const expiresInMs = 1_000
    const untilMs = Date.now() + expiresInMs
    const query = await openQuery(server, 'SELECT 1 AS expires', [1], { expiresInMs })
    const before = await numbersInHead()
    // A machine that was too slow to see it open saw nothing wrong.
    if (Date.now() < untilMs) expect(before).toContain(query.number)
    await server.until(async () => (await statusOf(query)) === 'expired')
    expect(await numbersInHead()).not.toContain(query.number)
  })

  it('whose time is over before the object hears of it never enters the head, and is closed too', async () => {
    const query = await openQuery(server, 'SELECT 1 AS late', [1], { expiresInMs: -1_000 })
    expect(await numbersInHead()).not.toContain(query.number)
    await server.until(async () => (await statusOf(query)) === 'expired')
  })

  it('keeps its part ten minutes longer, for isolates that still hold the head before', async () => {
    const query = await openQuery(server, 'SELECT 1 AS before', [3, 9])
    const part = (await headOf()).queries.find(({ number }) => number === query.number)?.targetPart ?? ''
    const stop = await changed("UPDATE queries SET status = 'stopped' WHERE id = ?", [query.id])
    await environment().refresh(stop, false)
    for (let i = 0; i < 2; i += 1) await environment().refresh(await changed(''), false)
    expect(await membersOf(part)).toEqual([3, 9])
    const storage = await server.worker.getDurableObjectStorage('ENVIRONMENT', { name: environmentId })
    await storage.exec('UPDATE parts SET unused_since_ms = unused_since_ms - 601000')
    await environment().refresh(await changed(''), false)
    expect(await environment().part(part)).toBeNull()
    for (const hash of (await headOf()).configurationParts)
      expect(await environment().part(hash)).not.toBeNull()
  })

  it('that is erased loses its answers in every shard before D1 forgets it', async () => {
    const query = await openQuery(server, 'SELECT 1 AS erased', [0, 1])
    const answer = { number: query.number, status: 0, message: '', stats: '{}', rowCount: 0 }
    for (const ordinal of [0, 1]) {
      const written = { ...answer, truncated: false, rows: null, carves: [] }
      const shard = answerShardStub(server.env, environmentId, query.shards, shardOf(ordinal, query.shards))
      await shard.write({ ordinal, nodeId: crypto.randomUUID() }, [written])
    }
    expect(await readCounts(server.env, environmentId, query)).toMatchObject({ answered: 2, failed: 0 })
    await changed('UPDATE queries SET erased_at = 1 WHERE id = ?', [query.id])
    // The next alarm does it: here that of a query which is over soon.
    await openQuery(server, 'SELECT 1 AS alarm', [0], { expiresInMs: 100 })
    await server.until(async () => (await statusOf(query)) === undefined)
    expect(await readCounts(server.env, environmentId, query)).toMatchObject({ answered: 0, failed: 0 })
    const { results } = await server.env.DB.prepare('SELECT 1 FROM query_targets WHERE number = ?')
      .bind(query.number)
      .all()
    expect(results).toEqual([])
  })
})

describe('changes that come at once', () => {
  it('end in the state of D1: no stopped query comes back, no open one is missing', async () => {
    const opened = await Promise.all(
      Array.from({ length: 8 }, (_unused, index) =>
        openQuery(server, `SELECT ${index} AS busy`, [0, 1, 2, 3]),
      ),
    )
    const [stopped, kept] = [opened.slice(0, 4), opened.slice(4)]
    await Promise.all([
      ...stopped.map(async ({ id }) =>
        environment().refresh(
          await changed("UPDATE queries SET status = 'stopped' WHERE id = ?", [id]),
          false,
        ),
      ),
      ...opened.flatMap(({ number }) =>
        [0, 1].map((shard) =>
          environment().reportRemaining(shard, [{ number, bits: NodeSet.of([]).toBytes() }]),
        ),
      ),
    ])
    const numbers = await numbersInHead()
    expect(stopped.filter(({ number }) => numbers.includes(number))).toEqual([])
    expect(kept.filter(({ number }) => !numbers.includes(number))).toEqual([])
  })
})

describe('revocation', () => {
  it('of a node is in the snapshot, and stays when others follow', async () => {
    const { id } = await makeEnvironment(server, 'few')
    await environment(id).refresh(await insertNodes(10, id), false)
    expect((await headOf(id)).revokedPart).toBeNull()
    for (const [ordinal, members] of [
      [7, [7]],
      [2, [2, 7]],
    ] as const) {
      const change = 'UPDATE nodes SET deleted_at = 1 WHERE environment_id = ? AND ordinal = ?'
      await environment(id).refresh(await changed(change, [id, ordinal], id), false)
      expect(await membersOf((await headOf(id)).revokedPart, id)).toEqual(members)
    }
  })

  it('of all keys before a time is in the snapshot', async () => {
    const { id } = await makeEnvironment(server, 'reissued')
    const change = 'UPDATE environments SET minimum_issued_at_s = 1788861605 WHERE id = ?'
    await environment(id).refresh(await changed(change, [id], id), false)
    expect((await headOf(id)).minimumIssuedAtS).toBe(1_788_861_605)
  })

  it('of a large part of the fleet is held back, and goes out when it is forced', async () => {
    const { id } = await makeEnvironment(server, 'many')
    const installed = await insertNodes(100, id)
    await environment(id).refresh(installed, false)
    const change = 'UPDATE nodes SET deleted_at = 1 WHERE environment_id = ?'
    const revision = await changed(change, [id], id)
    const heldBack = { revision: installed, heldBack: 'mass-revocation' }
    expect(await environment(id).refresh(revision, false)).toEqual(heldBack)
    expect(await headOf(id)).toMatchObject({ revision: installed, revokedPart: null })
    // Forced while another asks without force: the force is not lost.
    const [, , forced] = await Promise.all([
      environment(id).refresh(revision, false),
      environment(id).refresh(revision, false),
      environment(id).refresh(revision, true),
    ])
    expect(forced).toEqual({ revision, heldBack: null })
    expect(await membersOf((await headOf(id)).revokedPart, id)).toHaveLength(100)
  })
})

describe('carves that no operator asked for', () => {
  it('are admitted up to the day’s count, each once', async () => {
    const { id } = await makeEnvironment(server, 'quota')
    const admit = (carve: string, bytes = 1) => environment(id).admitCarve(carve, 3, bytes)
    const first = await Promise.all(Array.from({ length: 100 }, (_unused, index) => admit(`c${index}`)))
    expect(first).toEqual(first.map(() => true))
    expect([await admit('c100'), await admit('c5'), await admit('c100')]).toEqual([false, true, false])
  })

  it('are admitted up to the day’s bytes; what is refused takes no room', async () => {
    const { id } = await makeEnvironment(server, 'bytes')
    const admit = (carve: string, gibibytes: number) =>
      environment(id).admitCarve(carve, 3, gibibytes * 1_024 ** 3)
    expect([await admit('a', 15), await admit('b', 6), await admit('c', 5), await admit('d', 1)]).toEqual([
      true,
      false,
      true,
      false,
    ])
  })

  it('do not count where a carve query targets the node', async () => {
    await openQuery(server, "SELECT * FROM carves WHERE path = '/x' AND carve = 1", [11], { kind: 'carve' })
    const huge = 1_024 ** 4
    expect(await environment().admitCarve('asked', 11, huge)).toBe(true)
    expect(await environment().admitCarve('not asked', 12, huge)).toBe(false)
  })
})
