/** Two carves as a real osqueryd sent them (captures 01-main, 0097 to 0105): what lies there is the tar it made. */

import { createHash } from 'node:crypto'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { readCaptures } from '../support/captures.ts'
import { rowWithStatus, storedArchive } from '../support/carving.ts'
import { startServer, type TestServer } from '../support/harness.ts'

let server: TestServer
beforeAll(async () => {
  server = await startServer()
})
afterAll(() => server.close())

it.each([
  ['0097', ['0098', '0099', '0100'], '/var/example/'],
  ['0101', ['0102', '0103', '0104', '0105'], '/var/example/'],
])('carve %s', async (startNumber, blockNumbers, entry) => {
  const captures = readCaptures('01-main')
  const bodyOf = (number: string) => {
    const capture = captures.find(({ file }) => file.startsWith(number))
    return JSON.parse(capture?.body.toString() ?? '') as Record<string, unknown>
  }
  const nodeKey = await server.enroll(`captured-${startNumber}`)
  const headers = { authorization: `NodeKey ${nodeKey}` }
  const start = { ...bodyOf(startNumber), node_key: nodeKey }
  const reply = await server.agent('/api/osquery/carve/begin', start, headers)
  const { session_id } = reply.json<{ session_id: string }>()
  const sent: Buffer[] = []
  for (const number of blockNumbers) {
    const block = { ...bodyOf(number), session_id }
    expect((await server.agent('/api/osquery/carve/block', block, headers)).text).toBe('{}')
    sent.push(Buffer.from(String(bodyOf(number)['data']), 'base64'))
  }
  const row = await rowWithStatus(server, String(bodyOf(startNumber)['carve_id']), 'complete')
  const archive = Buffer.from(await storedArchive(server, row))
  expect(archive).toEqual(Buffer.concat(sent))
  expect(row.sha256).toBe(createHash('sha256').update(Buffer.concat(sent)).digest('hex'))
  expect(archive.toString('latin1')).toContain(entry)
  expect(row.file_name).toMatch(/\.tar$/)
})
