/** The archive's objects as they lie in R2, listed from the index. */

import { gunzipSync } from 'node:zlib'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { OPERATOR_TOKEN, startServer, type TestServer } from '../support/harness.ts'
import { allPages, makeEnvironment, problemOf } from '../support/operator.ts'
import { logBody, sendLog } from '../logs/support.ts'

interface ArchiveObject {
  sequence: number
  key: string
  type: string
  hour: string
  bytes: number
  lineBytes: number
  lines: number
  firstReceivedAt: string
  lastReceivedAt: string
}

const PATH = '/environments/default/archive/objects'

let server: TestServer
let objects: ArchiveObject[]
beforeAll(async () => {
  server = await startServer()
  const key = await server.enroll('raw-host')
  await sendLog(server, logBody(key, 'result', ['{"name":"a","n":12345678901234567890}', '{"name":"b"}']))
  await sendLog(server, logBody(key, 'status', ['{"message":"s"}']))
  objects = await server.until(async () => {
    const items = await allPages<ArchiveObject>(server, PATH, 100)
    const agents = items.filter(({ type }) => type === 'result' || type === 'status')
    return agents.reduce((sum, { lines }) => sum + lines, 0) >= 3 ? agents : null
  })
})
afterAll(() => server.close())

async function linesOf({ sequence }: ArchiveObject): Promise<string[]> {
  const response = await server.harness.fetch(`/api/v1${PATH}/${sequence}`, {
    headers: { authorization: `Bearer ${OPERATOR_TOKEN}` },
  })
  expect(response.headers.get('content-type')).toBe('application/gzip')
  return gunzipSync(new Uint8Array(await response.arrayBuffer()))
    .toString()
    .trim()
    .split('\n')
}

describe('objects of the archive', () => {
  it('are listed as the index knows them', () => {
    for (const object of objects) {
      expect(object.key).toContain(`/type=${object.type}/`)
      expect(object.key).toContain(object.hour.slice(0, 10))
      expect(object.lineBytes).toBeGreaterThan(object.lines)
      expect(object.lastReceivedAt >= object.firstReceivedAt).toBe(true)
    }
  })

  it('hold the agents’ lines byte for byte', async () => {
    const lines = (await Promise.all(objects.map(linesOf))).flat()
    expect(lines.some((line) => line.includes('"line":{"name":"a","n":12345678901234567890}'))).toBe(true)
    expect(lines.filter((line) => line.includes('"line":{"message":"s"}'))).not.toEqual([])
  })

  it('come in pages, each once', async () => {
    const paged = await allPages<ArchiveObject>(server, PATH, 1)
    const sequences = paged.map(({ sequence }) => sequence)
    expect(new Set(sequences).size).toBe(sequences.length)
    expect(sequences).toEqual(expect.arrayContaining(objects.map(({ sequence }) => sequence)))
  })

  it('are filtered by type and time', async () => {
    const statuses = await allPages<ArchiveObject>(server, `${PATH}?type=status`, 100)
    expect(new Set(statuses.map(({ type }) => type))).toEqual(new Set(['status']))
    expect(await allPages(server, `${PATH}?until=2026-01-01T00:00:00Z`, 100)).toEqual([])
    expect(await allPages(server, `${PATH}?since=2999-01-01T00:00:00Z`, 100)).toEqual([])
  })

  it('are those of the environment alone', async () => {
    await makeEnvironment(server, 'other')
    const { sequence = 0 } = objects[0] ?? {}
    const reply = await server.operator('GET', `/environments/other/archive/objects/${sequence}`)
    expect(problemOf(reply).status).toBe(404)
    expect(await allPages(server, '/environments/other/archive/objects?type=result', 100)).toEqual([])
  })

  it('that are not there are not found', async () => {
    for (const sequence of ['999999', '0', 'x', '-1', '1e3'])
      expect(problemOf(await server.operator('GET', `${PATH}/${sequence}`)).status).toBe(404)
  })

  it('are asked for by rules', async () => {
    const reply = await server.operator('GET', `${PATH}?since=yesterday&type=none&limit=0&cursor=x`)
    expect(problemOf(reply)).toEqual({ status: 422, pointers: ['type', 'since', 'limit', 'cursor'] })
  })
})
