/** When a body counts as safe, what that costs, and what happens when a store fails (design 4 Logs, 5, R4). */

import { randomBytes } from 'node:crypto'
import { gzipSync } from 'node:zlib'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { startServer, type Reply, type TestServer } from '../support/harness.ts'
import { logBody, untilInboxEmpty, untilLines, type LogList } from './support.ts'

const KIB = 1_024

function text(name: string, noiseBytes = 0): string {
  return `{"name":"${name}","v":"${randomBytes(noiseBytes / 2).toString('hex')}"}`
}

/** Calls to what a log POST may use; the head's refresh and presence go by isolate and time. */
function callsOf(reply: Reply): Record<string, number> {
  const calls = JSON.parse(reply.headers.get('x-test-calls') ?? '{}') as Record<string, number>
  return Object.fromEntries(
    Object.entries(calls).filter(([call]) => !/^(ENVIRONMENT|DIRECTORY|PRESENCE)\./.test(call)),
  )
}

describe.each(['inbox', 'queue'])('the port %s', (port) => {
  let server: TestServer
  let nodeKey: string
  beforeAll(async () => {
    server = await startServer({ entry: 'test/faults/entry.ts', vars: { LOG_ACK_PORT: port } })
    nodeKey = await server.enroll(`behind-${port}`)
  })
  afterAll(() => server.close())

  let lines = 0
  /** Sends one line; expects that it appears exactly when it was acknowledged. */
  async function send(
    entry: string,
    faults = '',
    encode: (body: string) => string | Buffer = (body) => body,
    headers: Record<string, string> = {},
  ): Promise<Reply> {
    const body = encode(logBody(nodeKey, 'result', [entry]))
    const reply = await server.agent('/api/osquery/log', body, { 'x-test-faults': faults, ...headers })
    if (reply.text === '{}') lines += 1
    return reply
  }

  const held = port === 'queue' ? { 'LOGS.send': 1 } : { 'ARCHIVE.put': 1, 'LOGS.send': 1 }
  const streamed = { 'ARCHIVE.put': 1, 'LOGS.send': 1 }

  it.each([
    ['a small body', text('small'), held],
    ['60 KiB of plain text', `{"name":"plain","v":"${'x'.repeat(60 * KIB)}"}`, held],
    ['60 KiB of noise', text('noise', 60 * KIB), held],
    ['500 KiB of noise: too large for a message', text('fat', 500 * KIB), streamed],
    ['2 MiB: streamed', text('streamed', 2 * KIB * KIB), streamed],
  ])('%s', async (_what, entry, calls) => {
    const reply = await send(entry)
    expect([reply.text, callsOf(reply)]).toEqual(['{}', calls])
  })

  it('gzip goes on as it came', async () => {
    const reply = await send(text('gzip', 90 * KIB), '', gzipSync)
    expect([reply.text, callsOf(reply)]).toEqual(['{}', held])
  })

  it('2 MiB with the key in the header: streamed', async () => {
    const reply = await send(text('header', 2 * KIB * KIB), '', undefined, {
      authorization: `NodeKey ${nodeKey}`,
    })
    expect([reply.text, callsOf(reply)]).toEqual(['{}', streamed])
  })

  it('nothing at all for nobody', async () => {
    const reply = await server.agent('/api/osquery/log', {
      data: [{ a: 1 }],
      log_type: 'result',
      node_key: 'x',
    })
    expect([reply.text, callsOf(reply)]).toEqual(['{"node_invalid":true}', {}])
  })

  it.each(['throw', 'hang', 'slow'])('the queue fails (%s): the inbox takes it', async (mode) => {
    // Before the deadline of the request, or it were told to come back.
    expect((await send(text(`queue-${mode}`), `LOGS=${mode}`)).text).toBe('{}')
  })

  it('R2 fails: a body that needs it comes back', async () => {
    const needs = port === 'queue' ? 500 * KIB : 0
    expect((await send(text('r2', needs), 'ARCHIVE=throw')).text).toBe('retry')
    expect((await send(text('r2', 2 * KIB * KIB), 'ARCHIVE=throw')).text).toBe('retry')
  })

  it('both fail: it comes back', async () => {
    expect((await send(text('both'), 'ARCHIVE=throw,LOGS=throw')).text).toBe('retry')
  })

  it.each(['DB=throw', 'DB=hang', 'CARVES=throw', 'ANSWER_SHARD=throw', 'ARCHIVE_INDEX=throw'])(
    '%s: no concern of a log POST',
    async (faults) => {
      expect((await send(text(faults), faults)).text).toBe('{}')
    },
  )

  it('a resend within milliseconds is one line', async () => {
    const body = logBody(nodeKey, 'result', [text('twice', 16)])
    const replies = await Promise.all([1, 2].map(() => server.agent('/api/osquery/log', body)))
    expect(replies.map((reply) => reply.text)).toEqual(['{}', '{}'])
    lines += 1
  })

  it('everything that was acknowledged is there, but for what waits for the sweeper', async () => {
    // Where the queue failed, the pointer is lost as well: those three lie in the inbox until the sweeper comes.
    const reply = await untilLines(server, nodeKey, lines - 3)
    const names = reply.json<LogList>().items.map(({ name }) => name)
    expect(new Set(names).size).toBe(names.length)
    const { objects } = await server.env.ARCHIVE.list({ prefix: 'inbox/' })
    for (const { key } of objects) {
      const { encodeMessage } = await import('../../src/logs/message.ts')
      await server.env.LOGS.send(encodeMessage({ kind: 'pointer', origin: null, key }), {
        contentType: 'bytes',
      })
    }
    await untilLines(server, nodeKey, lines)
    await untilInboxEmpty(server)
  })

  it('the index survives the eviction of its object', async () => {
    const { id } = (await server.operator('GET', '/environments/default')).json<{ id: string }>()
    await server.evict('ARCHIVE_INDEX', { name: id })
    expect((await send(text('after'))).text).toBe('{}')
    await untilLines(server, nodeKey, lines)
  })
})
