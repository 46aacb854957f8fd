/** Bodies that are streamed, bombs, and what is over a limit (design 4 Logs, R5). */

import { randomBytes } from 'node:crypto'
import { gzipSync } from 'node:zlib'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { startServer, type TestServer } from '../support/harness.ts'
import { allPages } from '../support/operator.ts'
import {
  idsOf,
  logBody,
  quarantinedBytes,
  sendLog,
  untilInboxEmpty,
  untilLines,
  untilQuarantined,
  type LogItem,
  type LogList,
} from './support.ts'

const MIB = 1_024 * 1_024

let server: TestServer
beforeAll(async () => {
  server = await startServer()
})
afterAll(() => server.close())

let hosts = 0
async function newNode(): Promise<string> {
  hosts += 1
  return server.enroll(`large-${hosts}`)
}

/** Entries of about 1 KiB that do not compress well. */
function entries(count: number): string[] {
  return Array.from({ length: count }, (_, i) => `{"name":"n${i}","v":"${randomBytes(480).toString('hex')}"}`)
}

async function expectAll(nodeKey: string, sent: readonly string[]): Promise<void> {
  const { environmentId, nodeId } = idsOf(nodeKey)
  await untilLines(server, nodeKey, Math.min(sent.length, 1_000))
  const path = `/environments/${environmentId}/logs?node=${nodeId}`
  const items = await server.until(async () => {
    const found = await allPages<LogItem>(server, path, 1_000)
    return found.length >= sent.length ? found : null
  })
  expect(items.map(({ line }) => JSON.stringify(line)).reverse()).toEqual(sent)
}

describe('larger than what is held whole', () => {
  it.each([
    ['plain, key in the header', true, false],
    ['plain, key at the end of the body', false, false],
    ['gzip, key in the header', true, true],
    ['gzip, key at the end of the inflated body', false, true],
  ])('%s', async (_how, header, compressed) => {
    const nodeKey = await newNode()
    const sent = entries(compressed ? 2_600 : 1_200)
    const text = logBody(nodeKey, 'result', sent)
    const body = compressed ? gzipSync(text) : text
    expect(body.length).toBeGreaterThan(MIB)
    await sendLog(server, body, header ? { authorization: `NodeKey ${nodeKey}` } : {})
    await expectAll(nodeKey, sent)
  })

  it('a small body that inflates to 12 MiB becomes several objects', async () => {
    const nodeKey = await newNode()
    const sent = Array.from({ length: 3_000 }, (_, i) => `{"name":"n${i}","v":"${'x'.repeat(4_096)}"}`)
    const body = gzipSync(logBody(nodeKey, 'status', sent))
    expect(body.length).toBeLessThan(MIB)
    await sendLog(server, body)
    await expectAll(nodeKey, sent)
  })

  it.each([
    ['of another server', { node_key: 'q8Zr0fJ3m1Xy7uTnB5aWc2Lh9eKdVg4s' }, 200, '{"node_invalid":true}'],
    ['without any key', {}, 200, '{"node_invalid":true}'],
  ])('%s: enroll anew, and nothing is kept', async (_what, key, status, text) => {
    const body = JSON.stringify({ data: entries(1_500).map((entry) => JSON.parse(entry) as unknown), ...key })
    const reply = await server.agent('/api/osquery/log', body)
    expect([reply.status, reply.text]).toEqual([status, text])
    await untilInboxEmpty(server)
  })

  it('no JSON and no key: come back, and nothing is kept', async () => {
    const reply = await server.agent('/api/osquery/log', 'x'.repeat(2 * MIB))
    expect([reply.status, reply.text]).toEqual([400, 'retry'])
    await untilInboxEmpty(server)
  })

  it('no JSON but a key that verifies: put aside', async () => {
    const nodeKey = await newNode()
    const body = `{"data":[${'x'.repeat(2 * MIB)}],"log_type":"result","node_key":"${nodeKey}"}`
    await sendLog(server, body)
    const [item] = await untilQuarantined(server, nodeKey)
    expect(item).toMatchObject({ reason: 'malformed', bytes: body.length })
  })

  it('an entry of 9 MiB is put aside with its body, the others go on', async () => {
    const nodeKey = await newNode()
    await sendLog(
      server,
      logBody(nodeKey, 'result', ['{"name":"a"}', `{"v":"${'x'.repeat(9 * MIB)}"}`, '{"name":"b"}']),
    )
    const { items } = (await untilLines(server, nodeKey, 2)).json<LogList>()
    expect(items.map(({ name }) => name)).toEqual(['b', 'a'])
    expect((await untilQuarantined(server, nodeKey))[0]?.reason).toBe('line-too-large')
  })

  it('too many entries are put aside', async () => {
    const nodeKey = await newNode()
    await sendLog(server, gzipSync(logBody(nodeKey, 'result', Array<string>(100_001).fill('{}'))))
    expect((await untilQuarantined(server, nodeKey))[0]?.reason).toBe('too-many-lines')
  })
})

describe('a gzip bomb', () => {
  const bombFor = (nodeKey: string, bytes = 80 * MIB) =>
    gzipSync(`{"data":[{"v":"${' '.repeat(bytes)}"}],"log_type":"result","node_key":"${nodeKey}"}`, {
      level: 1,
    })

  it('of a known node is put aside as it came', async () => {
    const nodeKey = await newNode()
    const bomb = bombFor(nodeKey)
    await sendLog(server, bomb, { authorization: `NodeKey ${nodeKey}`, 'content-encoding': 'gzip' })
    const [item] = await untilQuarantined(server, nodeKey)
    expect(item).toMatchObject({ reason: 'too-large', bytes: bomb.length })
    expect(Buffer.from(await quarantinedBytes(server, nodeKey, item?.id ?? ''))).toEqual(bomb)
  })

  it('whose key lies behind the limit is put aside as well: an old agent would send it for ever', async () => {
    const nodeKey = await newNode()
    const bomb = bombFor(nodeKey)
    await sendLog(server, bomb)
    const [item] = await untilQuarantined(server, nodeKey)
    expect(item).toMatchObject({ reason: 'too-large', bytes: bomb.length })
  })

  it('whose key lies behind all that is looked through is from nobody that we know', async () => {
    const reply = await server.agent('/api/osquery/log', bombFor(await newNode(), 257 * MIB))
    expect(reply.text).toBe('retry')
  })
})

describe('over 64 MiB as received', () => {
  it('goes raw into the quarantine', async () => {
    const nodeKey = await newNode()
    const body = Buffer.alloc(64 * MIB + 1, 0x20)
    await sendLog(server, body, { authorization: `NodeKey ${nodeKey}` })
    const [item] = await untilQuarantined(server, nodeKey)
    expect(item).toMatchObject({ reason: 'too-large', bytes: body.length })
  })

  it('with the key at the end of the body alone, as agents before 5.23.0 send it', async () => {
    const nodeKey = await newNode()
    const line = `{"v":"${'x'.repeat(1_000)}"}`
    const body = logBody(nodeKey, 'result', Array<string>(67_000).fill(line))
    expect(body.length).toBeGreaterThan(64 * MIB)
    // On a busy machine it may meet its deadline: like an agent, it comes again.
    await server.until(async () => (await server.agent('/api/osquery/log', body)).text === '{}')
    const [item] = await untilQuarantined(server, nodeKey)
    expect(item).toMatchObject({ reason: 'too-large', bytes: body.length })
  })
})

describe('without Content-Length', () => {
  async function sendChunked(nodeKey: string, bytes: number) {
    const text = logBody(nodeKey, 'result', [`{"name":"c","v":"${'x'.repeat(bytes)}"}`])
    const response = await server.harness.fetch('/api/osquery/log', {
      method: 'POST',
      body: new Blob([text]).stream(),
      duplex: 'half',
    } as never)
    return response.text()
  }

  it('a body that can be held is taken, a larger one comes back', async () => {
    const nodeKey = await newNode()
    expect(await sendChunked(nodeKey, 1_000)).toBe('{}')
    expect(await sendChunked(nodeKey, 2 * MIB)).toBe('retry')
    await untilLines(server, nodeKey, 1)
  })
})
