/** Erasing the lines of a node or of an environment: gone for readers at once, gone from R2 when the receipt says so. */

import { gunzipSync } from 'node:zlib'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { utf8 } from '../../../src/lib/bytes.ts'
import { inboxKey, metadataOf } from '../../../src/logs/inbox.ts'
import { putQuarantine } from '../../../src/logs/quarantine.ts'
import { startServer, type TestServer } from '../../support/harness.ts'
import { created, problemOf } from '../../support/operator.ts'
import { originAt, writeObjects } from '../support.ts'
import {
  archivedKeys,
  compactAll,
  eventIdsOf,
  HOUR_MS,
  line,
  newEnvironment,
  NODES,
  readPage,
  START_MS,
} from './support.ts'

interface Receipt {
  id: string
  status: string
  nodeId: string | null
  lines: number
  objects: number
  setAside: number
  finishedAt: string | null
}

let server: TestServer
beforeAll(async () => {
  server = await startServer()
})
afterAll(() => server.close())

const [GONE = '', STAYS = ''] = NODES

async function receiptOf(environment: string, id: string): Promise<Receipt> {
  return created<Receipt>(
    await server.operator('GET', `/environments/${environment}/logs/erasures/${id}`),
    200,
  )
}

/** Everything that lies in R2 for an environment, as one text. */
async function everythingOf(environment: string): Promise<string> {
  const texts: string[] = []
  for (const prefix of [
    `logs/r90/environment=${environment}/`,
    `inbox/${environment}/`,
    `quarantine/environment=${environment}/`,
  ]) {
    for (const { key } of (await server.env.ARCHIVE.list({ prefix })).objects) {
      const bytes = new Uint8Array(
        (await (await server.env.ARCHIVE.get(key))?.arrayBuffer()) ?? new ArrayBuffer(),
      )
      texts.push(key.endsWith('.gz') ? gunzipSync(bytes).toString() : Buffer.from(bytes).toString())
    }
  }
  return texts.join('\n')
}

async function setAside(environment: string, nodeId: string): Promise<void> {
  const origin = originAt(environment, nodeId, START_MS)
  const body = utf8(`waiting of ${nodeId}`)
  await server.env.ARCHIVE.put(await inboxKey(origin, body), body, {
    customMetadata: metadataOf(origin, null),
  })
  const poison = {
    environmentId: environment,
    nodeId,
    reason: 'malformed',
    route: 'log',
    receivedAtMs: START_MS,
  }
  await putQuarantine(server.env, { ...poison, bytes: utf8(`poison of ${nodeId}`) })
}

describe("a node's lines", () => {
  it('are gone for readers at once, and from raw and compacted objects, inbox and quarantine when it is done', async () => {
    const environment = await newEnvironment(server)
    const [a, b] = [line(0, { nodeId: GONE }), line(1_000, { nodeId: STAYS })]
    await writeObjects(server.env, environment, [[a, b]])
    await compactAll(server.env, environment)
    const [c, d, e] = [
      line(5 * HOUR_MS, { nodeId: GONE }),
      line(5 * HOUR_MS, { nodeId: STAYS }),
      line(6 * HOUR_MS, { nodeId: GONE }),
    ]
    await writeObjects(server.env, environment, [[c, d], [e]])
    await setAside(environment, GONE)
    await setAside(environment, STAYS)

    const begun = created<Receipt>(
      await server.operator('DELETE', `/environments/${environment}/nodes/${GONE}/logs`),
      202,
    )
    expect(eventIdsOf((await readPage(server, environment, '')).items)).toEqual(eventIdsOf([d, b]))
    await server.until(async () => (await receiptOf(environment, begun.id)).status === 'done')
    expect(await receiptOf(environment, begun.id)).toMatchObject({
      nodeId: GONE,
      // `a` lies in its raw object, which was replaced a moment ago, and in the compacted one.
      lines: 4,
      objects: 4,
      setAside: 2,
      finishedAt: expect.any(String) as string,
    })
    const everything = await everythingOf(environment)
    expect(everything).not.toContain(GONE)
    expect(everything).toContain(STAYS)
    await compactAll(server.env, environment)
    expect(eventIdsOf((await readPage(server, environment, '')).items)).toEqual(eventIdsOf([d, b]))
  })

  it('that were on their way do not come back, those received later are new', async () => {
    const environment = await newEnvironment(server)
    const begun = created<Receipt>(
      await server.operator('DELETE', `/environments/${environment}/nodes/${GONE}/logs`),
      202,
    )
    await server.until(async () => (await receiptOf(environment, begun.id)).status === 'done')
    const late = line(0, { nodeId: GONE })
    const fresh = line(0, { nodeId: GONE, atMs: Date.now() + 1_000 })
    await writeObjects(server.env, environment, [[late], [fresh]])
    expect(eventIdsOf((await readPage(server, environment, '')).items)).toEqual([fresh.eventId])
    await compactAll(server.env, environment)
    await compactAll(server.env, environment, Date.now() + 2 * HOUR_MS)
    expect(await everythingOf(environment)).not.toContain(late.eventId)
  })
})

describe("an environment's lines", () => {
  it('are deleted when its name confirms it', async () => {
    const environment = await newEnvironment(server)
    await writeObjects(server.env, environment, [[line(0)], [line(HOUR_MS)]])
    await compactAll(server.env, environment)
    const path = `/environments/${environment}/logs`
    expect(problemOf(await server.operator('DELETE', path, { environment: 'another' }))).toEqual({
      status: 422,
      pointers: ['/environment'],
    })
    const { name } = created<{ name: string }>(
      await server.operator('GET', `/environments/${environment}`),
      200,
    )
    const begun = created<Receipt>(await server.operator('DELETE', path, { environment: name }), 202)
    await server.until(async () => (await receiptOf(environment, begun.id)).status === 'done')
    expect(await archivedKeys(server.env, environment)).toEqual([])
    expect((await readPage(server, environment, '')).items).toEqual([])
  })

  it('are deleted with a row in the audit and a receipt in the list', async () => {
    const environment = await newEnvironment(server)
    await server.operator('DELETE', `/environments/${environment}/nodes/${GONE}/logs`)
    const audit = await server.operator('GET', `/audit?environment=${environment}`)
    expect(audit.json<{ items: { action: string; subject: string }[] }>().items[0]).toMatchObject({
      action: 'logs.erase',
      subject: GONE,
    })
    const list = await server.operator('GET', `/environments/${environment}/logs/erasures`)
    expect(list.json<{ items: Receipt[] }>().items).toHaveLength(1)
  })
})
