/** The weekly inspection: objects that the index does not know are taken up, rows without an object are reported. */

import { afterAll, beforeAll, expect, it } from 'vitest'
import { workStep } from '../../../src/logs/compact/step.ts'
import { startServer, type TestServer } from '../../support/harness.ts'
import { created } from '../../support/operator.ts'
import { writeObjects } from '../support.ts'
import { archivedKeys, compactAll, eventIdsOf, HOUR_MS, line, newEnvironment, readPage } from './support.ts'

interface Health {
  rawObjects: number
  compactedObjects: number
  missingObjects: number
  failures: number
  lastFailure: string | null
  inspection: { finishedAt: string | null; seen: number; orphans: number; healed: number; missing: number }
}

let server: TestServer
beforeAll(async () => {
  server = await startServer()
})
afterAll(() => server.close())

const WEEK_MS = 7 * 24 * HOUR_MS

async function healthOf(environment: string): Promise<Health> {
  return created<Health>(await server.operator('GET', `/environments/${environment}/archive`), 200)
}

it('heals orphans and marks rows without objects', async () => {
  const environment = await newEnvironment(server)
  const [known, orphan, lost] = [line(0), line(1_000), line(2_000)]
  await writeObjects(server.env, environment, [[known]])
  const before = await archivedKeys(server.env, environment)
  await writeObjects(server.env, environment, [[orphan]])
  const [orphanKey] = (await archivedKeys(server.env, environment)).filter((key) => !before.includes(key))
  await server.env.ARCHIVE_INDEX.getByName(environment).remove([orphanKey ?? ''])
  await compactAll(server.env, environment)
  expect(eventIdsOf((await readPage(server, environment, '')).items)).toEqual([known.eventId])
  // Some day its hour is compacted and nobody has looked yet.
  await writeObjects(server.env, environment, [[lost]])
  const rest = (await archivedKeys(server.env, environment)).filter(
    (key) => !before.includes(key) && key !== orphanKey,
  )
  const stub = server.env.ARCHIVE_INDEX.getByName(environment)
  const { rows } = await stub.find({
    types: ['result'],
    sinceMs: lost.atMs,
    untilMs: lost.atMs + 1,
    nodeId: null,
    name: null,
    maxSequence: null,
    after: null,
    limit: 1,
  })
  expect(rest).toContain(rows[0]?.key)
  await server.env.ARCHIVE.delete(rows[0]?.key ?? '')

  await stub.inspect()
  const later = Date.now() + 2 * HOUR_MS
  // Compaction would come before the inspection, and would find out by itself what is missing.
  await compactAll(server.env, environment, later)
  const health = await healthOf(environment)
  expect(health.inspection).toMatchObject({ orphans: 1, healed: 1, finishedAt: expect.any(String) as string })
  expect(health.missingObjects).toBe(1)
  await compactAll(server.env, environment, later)
  expect(eventIdsOf((await readPage(server, environment, '')).items)).toEqual([orphan.eventId, known.eventId])
})

it('finds rows without objects that nobody has looked for', async () => {
  const environment = await newEnvironment(server)
  await writeObjects(server.env, environment, [[line(0)]])
  await compactAll(server.env, environment)
  await compactAll(server.env, environment, Date.now() + 2 * HOUR_MS)
  await server.env.ARCHIVE.delete(await archivedKeys(server.env, environment))
  await compactAll(server.env, environment, Date.now() + WEEK_MS + HOUR_MS)
  expect(await healthOf(environment)).toMatchObject({
    missingObjects: 1,
    inspection: { seen: 0, orphans: 0, missing: 1, finishedAt: expect.any(String) as string },
  })
})

it('is begun by an operator, too, and leaves a trace in the audit', async () => {
  const environment = await newEnvironment(server)
  expect((await server.operator('POST', `/environments/${environment}/archive/inspection`)).status).toBe(202)
  await server.until(async () => (await healthOf(environment)).inspection.finishedAt)
  const audit = await server.operator('GET', `/audit?environment=${environment}`)
  expect(audit.json<{ items: { action: string }[] }>().items[0]?.action).toBe('archive.inspect')
})

it('tells of what failed', async () => {
  const environment = await newEnvironment(server)
  await writeObjects(server.env, environment, [[line(0)]])
  const broken = new Proxy(server.env, {
    get: (target, property) =>
      property === 'ARCHIVE'
        ? { get: () => Promise.reject(new RangeError('secret')) }
        : Reflect.get(target, property),
  })
  expect(await workStep(broken, environment, Date.now())).toBe('failed')
  expect(await healthOf(environment)).toMatchObject({ failures: 1, lastFailure: 'RangeError', rawObjects: 1 })
})
