/** Searching the archive over HTTP: parameters, early stops that say how far they came, and a node's own address. */

import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { utf8 } from '../../src/lib/bytes.ts'
import { ArchiveWriter } from '../../src/logs/archive-writer.ts'
import { envelopeOf } from '../../src/logs/line.ts'
import { NOTHING_KNOWN, sourceOf, UNKNOWN_NAME } from '../../src/logs/source-facts.ts'
import { startServer, type TestServer } from '../support/harness.ts'
import { makeEnvironment, problemOf } from '../support/operator.ts'
import { addNodes, compactAll, line, NODES } from './compact/support.ts'
import { originAt, writeObjects, type LogList } from './support.ts'

const START_MS = Date.UTC(2026, 5, 1, 12)
/** More objects than one call opens. */
const MANY = 420

type Page = LogList & { searchedThrough: string | null; searched: { objects: number; bytes: number } }

let server: TestServer
let environment: string
beforeAll(async () => {
  server = await startServer()
  environment = (await makeEnvironment(server, 'searching')).id
  await addNodes(server, environment)
  await write('pack/a/users', '{"columns":{"path":"/etc/passwd","user":"eve"}}')
  await write('pack/b/users', '{"columns":{"path":"/tmp/x","user":"bob"}}')
  await write('all', '{"snapshot":[{"path":"/a"},{"path":"/etc/passwd"}]}')
})
afterAll(() => server.close())

let written = 0
async function write(name: string, text: string): Promise<void> {
  written += 1
  const writer = new ArchiveWriter(server.env)
  const source = sourceOf(originAt(environment, NODES[0] ?? '', START_MS + written * 1_000), NOTHING_KNOWN)
  const eventId = written.toString(16).padStart(16, '0').repeat(2)
  const facts = { type: 'result' as const, name, ...UNKNOWN_NAME, eventId, index: 0 }
  await writer.add(eventId, source, facts, envelopeOf(source, facts, utf8(text)))
  expect([...(await writer.flush())]).toEqual([])
}

async function page(path: string): Promise<Page> {
  const reply = await server.operator('GET', path)
  expect(reply.status).toBe(200)
  return reply.json<Page>()
}

async function namesOf(parameters: string): Promise<string[]> {
  return (await page(`/environments/${environment}/logs?${parameters}`)).items.map(({ name }) => name)
}

describe.each(['raw', 'compacted'])('%s lines are found', (state) => {
  beforeAll(async () => {
    if (state === 'compacted') await compactAll(server.env, environment)
  })

  it('by a pattern of names', async () => {
    expect(await namesOf('name=pack/*')).toEqual(['pack/b/users', 'pack/a/users'])
    expect(await namesOf('name=*/a/*')).toEqual(['pack/a/users'])
    expect(await namesOf('name=pack')).toEqual([])
  })

  it('by a column and its value', async () => {
    expect(await namesOf('column=path&value=/etc/passwd')).toEqual(['all', 'pack/a/users'])
    expect(await namesOf('column=path&value=/etc')).toEqual([])
  })

  it('by a text', async () => {
    expect(await namesOf('text=EVE')).toEqual(['pack/a/users'])
    expect(await namesOf('text=etc&name=all')).toEqual(['all'])
  })

  it("under a node's own address", async () => {
    const path = `/environments/${environment}/nodes/${NODES[0]}/logs`
    expect((await page(`${path}?name=all`)).items.map(({ name }) => name)).toEqual(['all'])
    expect((await page(`/environments/${environment}/nodes/${NODES[1]}/logs`)).items).toEqual([])
    expect((await server.operator('GET', `/environments/${environment}/nodes/host-1/logs`)).status).toBe(404)
  })
})

it.each([
  ['column=path', 'value'],
  ['value=x', 'column'],
  ['text=', 'text'],
  [`text=${'x'.repeat(1_025)}`, 'text'],
])('%s is a problem that names what is wrong', async (parameters, pointer) => {
  const reply = await server.operator('GET', `/environments/${environment}/logs?${parameters}`)
  expect(problemOf(reply)).toEqual({ status: 422, pointers: [pointer] })
})

it('a search that is too much work stops, says how far it came, and goes on', async () => {
  const other = (await makeEnvironment(server, 'searching-long')).id
  const lines = Array.from({ length: MANY }, (_, n) => line(n * 1_000))
  await writeObjects(
    server.env,
    other,
    lines.map((one) => [one]),
  )
  const path = `/environments/${other}/logs?text=${lines[0]?.eventId}`
  const first = await page(path)
  expect(first.items).toEqual([])
  const searchedThroughMs = Date.parse(first.searchedThrough ?? '')
  expect(searchedThroughMs).toBeGreaterThan(lines[0]?.atMs ?? 0)
  expect(searchedThroughMs).toBeLessThan(lines.at(-1)?.atMs ?? 0)
  expect(first.searched.objects).toBeLessThan(MANY)
  const second = await page(`${path}&cursor=${first.nextCursor}`)
  expect(second.items.map(({ eventId }) => eventId)).toEqual([lines[0]?.eventId])
  expect([second.nextCursor, second.searchedThrough]).toEqual([null, null])
  await compactAll(server.env, other)
  const compacted = await page(path)
  expect(compacted.items).toHaveLength(1)
  expect(compacted.searched.objects).toBe(1)
})

it('a search for one node reads little of a compacted object', async () => {
  const other = (await makeEnvironment(server, 'searching-node')).id
  const long = 'x'.repeat(100_000)
  const writer = new ArchiveWriter(server.env)
  for (let n = 0; n < 20; n += 1) {
    const nodeId = `${n.toString(16).padStart(2, '0')}000000-0000-4000-8000-000000000000`
    const source = sourceOf(originAt(other, nodeId, START_MS + n), NOTHING_KNOWN)
    const eventId = (n + 1).toString(16).padStart(16, '0').repeat(2)
    const facts = { type: 'result' as const, name: 'n', ...UNKNOWN_NAME, eventId, index: 0 }
    await writer.add('one', source, facts, envelopeOf(source, facts, utf8(`{"x":"${long}"}`)))
  }
  await writer.flush()
  await compactAll(server.env, other)
  const wanted = '07000000-0000-4000-8000-000000000000'
  const { items, searched } = await page(`/environments/${other}/logs?node=${wanted}`)
  expect(items.map(({ nodeId }) => nodeId)).toEqual([wanted])
  expect(searched.bytes).toBeLessThan(300_000)
  const nobody = await page(`/environments/${other}/logs?node=07000001-0000-4000-8000-000000000000`)
  expect(nobody.searched).toEqual({ objects: 0, bytes: 0 })
})
