/** What the safety check holds back, and POST /environments/{env}/publish. */

import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { startServer, type TestServer } from '../support/harness.ts'
import { created, makeEnvironment, problemOf } from '../support/operator.ts'

let server: TestServer
beforeAll(async () => {
  server = await startServer()
})
afterAll(() => server.close())

interface Environment {
  revision: number
  heldBack: { revision: number; reason: string; nodes: number; ofNodes: number; detail: string } | null
}

async function environment(name: string): Promise<Environment> {
  return created<Environment>(await server.operator('GET', `/environments/${name}`), 200)
}

/** An environment with so many nodes that never enrolled. */
async function fleet(name: string, count: number): Promise<string> {
  const { id } = await makeEnvironment(server, name)
  const columns = `id, environment_id, ordinal, identity, hostname, platform, platform_family, osquery_version,
    host_identifier, hardware_uuid, hardware_serial, instance_id, host_details, first_enrolled_at, enrolled_at`
  await server.env.DB.prepare(
    `WITH RECURSIVE n (ordinal) AS (SELECT 0 UNION ALL SELECT ordinal + 1 FROM n WHERE ordinal + 1 < ?2)
     INSERT INTO nodes (${columns}) SELECT ?1 || '/' || ordinal, ?1, ordinal, 'host:' || ordinal, '', '', '', '', '', '', '',
       '', '{}', 0, 0 FROM n`,
  )
    .bind(id, count)
    .run()
  const document = {
    schedule: { a: { query: 'SELECT 1', interval: 60 }, b: { query: 'SELECT 2', interval: 60 } },
  }
  created(await server.operator('PUT', `/environments/${name}/configuration`, document), 200)
  return id
}

describe('a snapshot that would revoke more than a fifth of the nodes', () => {
  it('is held back and shown; forced by its revision it goes out', async () => {
    const id = await fleet('deleted', 100)
    expect((await environment('deleted')).heldBack).toBeNull()
    await server.env.DB.prepare('UPDATE nodes SET deleted_at = 1 WHERE environment_id = ? AND ordinal < 60')
      .bind(id)
      .run()
    const tagged = await server.operator('PATCH', '/environments/deleted/acceleration', { share: 0.2 })
    const { revision } = created<{ revision: number }>(tagged, 200)
    expect(tagged.json()).toMatchObject({ live: false })
    expect((await environment('deleted')).heldBack).toMatchObject({
      revision,
      reason: 'mass-revocation',
      nodes: 60,
      ofNodes: 100,
      detail: 'it would revoke 60 of 100 nodes',
    })
    const publish = (body: object) => server.operator('POST', '/environments/deleted/publish', body)
    expect(problemOf(await publish({ force: true, revision: revision - 1 }))).toEqual({
      status: 409,
      pointers: ['/revision'],
    })
    expect((await publish({ force: true, revision })).json()).toEqual({ revision, live: true })
    expect((await environment('deleted')).heldBack).toBeNull()
    const head = await server.env.ENVIRONMENT.getByName(id).head()
    expect(head?.revision).toBe(revision)
    const audit = (await server.operator('GET', '/audit?limit=1')).json<{ items: object[] }>()
    expect(audit.items[0]).toMatchObject({
      action: 'environment.publish',
      detail: { revision, kind: 'mass-revocation', newlyRevoked: 60 },
    })
  })
})

describe('a snapshot that takes every scheduled query away', () => {
  it('is held back from a large fleet, however often it is looked at, and survives an eviction', async () => {
    const id = await fleet('emptied', 51)
    const emptied = await server.operator('PUT', '/environments/emptied/configuration', { schedule: {} })
    expect(created(emptied, 200)).toMatchObject({ live: false })
    await server.evict('ENVIRONMENT', { name: id })
    const { heldBack, revision } = await environment('emptied')
    expect(heldBack).toMatchObject({ revision, reason: 'emptied', nodes: 51 })
    const before = (await server.env.ENVIRONMENT.getByName(id).head())?.configurationVersion
    expect(before).toBe(2)
  })

  it('goes out by itself once it schedules something again', async () => {
    const document = { schedule: { c: { query: 'SELECT 3', interval: 60 } } }
    const put = await server.operator('PUT', '/environments/emptied/configuration', document)
    expect(created(put, 200)).toMatchObject({ live: true })
    expect((await environment('emptied')).heldBack).toBeNull()
  })

  it('goes out to a small fleet as it is', async () => {
    await fleet('small', 50)
    const emptied = await server.operator('PUT', '/environments/small/configuration', { schedule: {} })
    expect(created(emptied, 200)).toMatchObject({ live: true })
  })
})

describe('POST …/publish refuses', () => {
  it('where nothing is held back', async () => {
    const reply = await server.operator('POST', '/environments/default/publish', { force: true, revision: 1 })
    expect(problemOf(reply)).toEqual({ status: 409, pointers: ['/force'] })
  })

  it.each([
    [{}, ['/force', '/revision']],
    [{ force: false, revision: 1 }, ['/force']],
    [{ force: true, revision: 'all' }, ['/revision']],
    [{ force: true, revision: 1, maxRevoked: 1 }, ['/maxRevoked']],
  ])('%j', async (body, pointers) => {
    const reply = await server.operator('POST', '/environments/default/publish', body)
    expect(problemOf(reply)).toEqual({ status: 422, pointers })
  })
})
