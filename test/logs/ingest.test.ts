/** What agents send, old and new, and what operators read of it (spec 2.3, 4 and 9.3). On the product's own settings. */

import { gzipSync } from 'node:zlib'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { readCaptures } from '../support/captures.ts'
import { startServer, type TestServer } from '../support/harness.ts'
import {
  idsOf,
  logBody,
  quarantinedBytes,
  readNodeLogs,
  sendLog,
  untilInboxEmpty,
  untilLines,
  untilQuarantined,
  type LogList,
} from './support.ts'

let server: TestServer
beforeAll(async () => {
  server = await startServer()
})
afterAll(() => server.close())

let hosts = 0
async function newNode(): Promise<string> {
  hosts += 1
  return server.enroll(`host-${hosts}`)
}

const EVENT =
  '{"name":"pack/sec/users","hostIdentifier":"web-17","calendarTime":"Tue Sep  8 10:00:05 2026 UTC",' +
  '"unixTime":1788861605,"epoch":0,"counter":3,"numerics":false,' +
  '"decorations":{"host_uuid":"4c4c4544-0042-3510-8052-b4c04f4d5231"},' +
  '"columns":{"uid":"1002","username":"eve"},"action":"added"}'
const REMOVED = EVENT.replace('eve', 'bob').replace('added', 'removed')

/** Each is one entry: what it is called, its log_type, its text, and the type and name that it is archived under. */
const SHAPES: readonly (readonly [string, string, string, string, string])[] = [
  ['L1 differential event', 'result', EVENT, 'result', 'pack/sec/users'],
  [
    'L2 snapshot',
    'result',
    '{"snapshot":[{"days":"3","total_seconds":"262144"}],"action":"snapshot","name":"uptime","hostIdentifier":"w","unixTime":1788865200,"epoch":0,"counter":0,"numerics":false}',
    'snapshot',
    'uptime',
  ],
  [
    'L3 batch without rows',
    'result',
    '{"diffResults":{"removed":[],"added":[]},"name":"usb","hostIdentifier":"web-17","unixTime":1788865260,"epoch":2,"counter":0,"numerics":true}',
    'result',
    'usb',
  ],
  [
    'L4 big integers and floats',
    'result',
    '{"name":"n","columns":{"inode":9223372036854775807,"huge":18446744073709551615,"size":4096,"load":0.25,"e":1E+3},"numerics":true,"action":"added"}',
    'result',
    'n',
  ],
  [
    'L5 status',
    'status',
    '{"hostIdentifier":"web-17","unixTime":1788861601,"severity":1,"filename":"options.cpp","line":106,"message":"The CLI only flag --config_refresh …","version":"5.23.1"}',
    'status',
    '',
  ],
  [
    'L6 status of 4.9',
    'status',
    '{"hostIdentifier":"w","unixTime":"1788861601","severity":"1","filename":"a.cpp","line":"106","message":"m","version":"4.9.0"}',
    'status',
    '',
  ],
  [
    'L7 all strings',
    'result',
    '{"name":"old","hostIdentifier":"w","unixTime":"1788861601","epoch":"0","counter":"0","decorations":"","columns":{"a":"1"},"action":"added"}',
    'result',
    'old',
  ],
  ['L7 snapshot ""', 'result', '{"snapshot":"","action":"snapshot","name":"old"}', 'snapshot', 'old'],
  ['snapshot as event', 'result', '{"name":"s","columns":{"a":1},"action":"snapshot"}', 'snapshot', 's'],
  ['members out of order, blanks', 'result', '{ "z" : 1 ,"name":"o","a":[ ]}', 'result', 'o'],
  ['escapes', 'result', String.raw`{"name":"e","c":"\u00e9\ud800 \/ \\xC3\\xA9","é":"ü"}`, 'result', 'e'],
  ['no name', 'result', '{"columns":{"a":"1"}}', 'result', ''],
  ['a name twice', 'result', '{"name":"x","name":"y"}', 'result', 'y'],
]

describe.concurrent('a line goes in and comes out as it was written', () => {
  it.each(SHAPES)('%s', async (_what, logType, entry, type, name) => {
    const nodeKey = await newNode()
    await sendLog(server, logBody(nodeKey, logType, [entry]))
    const reply = await untilLines(server, nodeKey, 1)
    const [item] = reply.json<LogList>().items
    const { nodeId } = idsOf(nodeKey)
    const { eventId, receivedAt, hostname } = item ?? {}
    expect(item).toMatchObject({ nodeId, type, name })
    expect(eventId).toMatch(/^[0-9a-f]{32}$/)
    expect(receivedAt).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/)
    // The configuration of this server schedules `uptime`, and nothing else.
    const query = name === 'uptime' ? '"uptime"' : 'null'
    expect(reply.text).toContain(
      `{"items":[{"eventId":"${eventId}","nodeId":"${nodeId}","hostname":"${hostname}","platform":"linux","tags":[],` +
        `"type":"${type}","name":"${name}","pack":null,"query":${query},"configurationVersion":1,` +
        `"receivedAt":"${receivedAt}","line":${entry}}],"nextCursor":null`,
    )
  })

  it('bytes that are not UTF-8 come out as base64', async () => {
    const nodeKey = await newNode()
    const entry = Buffer.concat([
      Buffer.from('{"name":"odd","v":"'),
      Buffer.from([0xff, 0xc3, 0x28]),
      Buffer.from('"}'),
    ])
    const [before = '', after = ''] = logBody(nodeKey, 'result', ['|']).split('|')
    await sendLog(server, Buffer.concat([Buffer.from(before), entry, Buffer.from(after)]))
    const [item] = (await untilLines(server, nodeKey, 1)).json<LogList>().items
    expect(item).toMatchObject({ name: 'odd', lineBase64: entry.toString('base64') })
    expect(item).not.toHaveProperty('line')
  })
})

describe.concurrent('ways to send', () => {
  it('L8 gzip, announced, unannounced, and wrongly announced plain text', async () => {
    const nodeKey = await newNode()
    const bodies = ['g1', 'g2', 'g3', 'g4'].map((name) => logBody(nodeKey, 'result', [`{"name":"${name}"}`]))
    const [announced = '', unannounced = '', plain = '', header = ''] = bodies
    await sendLog(server, gzipSync(announced), { 'content-encoding': 'gzip' })
    await sendLog(server, gzipSync(unannounced))
    await sendLog(server, plain, { 'content-encoding': 'gzip' })
    await sendLog(server, gzipSync(header), { authorization: `NodeKey ${nodeKey}` })
    const { items } = (await untilLines(server, nodeKey, 4)).json<LogList>()
    expect(items.map(({ name }) => name).sort()).toEqual(['g1', 'g2', 'g3', 'g4'])
  })

  it('the key in the header alone, in the body alone, in both', async () => {
    const nodeKey = await newNode()
    const authorization = { authorization: `NodeKey ${nodeKey}` }
    await sendLog(server, '{"data":[{"name":"h"}],"log_type":"result"}', authorization)
    await sendLog(server, logBody(nodeKey, 'result', ['{"name":"b"}']))
    await sendLog(server, logBody(nodeKey, 'result', ['{"name":"hb"}']), authorization)
    const { items } = (await untilLines(server, nodeKey, 3)).json<LogList>()
    expect(items.map(({ name }) => name)).toEqual(['hb', 'b', 'h'])
  })

  it('identity comes from the key, never from hostIdentifier', async () => {
    const [nodeKey, other] = [await newNode(), await newNode()]
    await sendLog(server, logBody(nodeKey, 'result', ['{"name":"x","hostIdentifier":"host-1"}']))
    const [item] = (await untilLines(server, nodeKey, 1)).json<LogList>().items
    expect(item?.nodeId).toBe(idsOf(nodeKey).nodeId)
    expect((await readNodeLogs(server, other)).json<LogList>().items).toEqual([])
  })

  it('under all layouts of other servers', async () => {
    const nodeKey = await newNode()
    for (const path of ['/api/v1/osquery/log', '/public/osquery/log', '/default/log']) {
      const reply = await server.agent(path, logBody(nodeKey, 'result', [`{"name":"${path}"}`]))
      expect([path, reply.text]).toEqual([path, '{}'])
    }
    await untilLines(server, nodeKey, 3)
  })

  it('a POST of 1,024 lines keeps its order', async () => {
    const nodeKey = await newNode()
    const lines = Array.from({ length: 1_000 }, (_, i) => `{"line":${i},"severity":0,"message":"m"}`)
    await sendLog(server, logBody(nodeKey, 'status', lines))
    const { items } = (await untilLines(server, nodeKey, 1_000)).json<LogList>()
    expect(items.map(({ line }) => line?.['line'])).toEqual(lines.map((_, i) => 999 - i))
  })
})

describe.concurrent('nothing to store', () => {
  it.each(['[]', '""', 'null'])('L10 data is %s', async (data) => {
    const nodeKey = await newNode()
    await sendLog(server, `{"data":${data},"log_type":"result","node_key":"${nodeKey}"}`)
  })

  it('no data at all', async () => sendLog(server, { node_key: await newNode(), log_type: 'status' }))
})

describe.concurrent('the same again', () => {
  it('L9 a duplicate plus one new entry: only the new one is new', async () => {
    const nodeKey = await newNode()
    await sendLog(server, logBody(nodeKey, 'result', [EVENT, REMOVED]))
    await sendLog(server, logBody(nodeKey, 'result', [EVENT, REMOVED, '{"name":"new"}']))
    const { items } = (await untilLines(server, nodeKey, 3)).json<LogList>()
    expect(items.map(({ name }) => name)).toEqual(['new', 'pack/sec/users', 'pack/sec/users'])
  })

  it('a resend within milliseconds is stored once', async () => {
    const nodeKey = await newNode()
    const body = logBody(nodeKey, 'result', [EVENT])
    await Promise.all([sendLog(server, body), sendLog(server, body)])
    expect((await untilLines(server, nodeKey, 1)).json<LogList>().items).toHaveLength(1)
  })

  it('identical rows of one POST are all kept', async () => {
    const nodeKey = await newNode()
    await sendLog(server, logBody(nodeKey, 'result', [EVENT, EVENT, EVENT]))
    await sendLog(server, logBody(nodeKey, 'result', [EVENT, EVENT]))
    const { items } = (await untilLines(server, nodeKey, 3)).json<LogList>()
    expect(items).toHaveLength(3)
    expect(new Set(items.map(({ eventId }) => eventId)).size).toBe(3)
  })
})

describe.concurrent('poison is accepted and put aside (R5)', () => {
  it.each([
    ['malformed', (key: string) => `{"node_key":"${key}","data":[{"a":tru}],"log_type":"result"}`],
    ['malformed', (key: string) => `{"data":[{"a":NaN}],"log_type":"result","node_key":"${key}"}`],
    ['unknown-log-type', (key: string) => logBody(key, 'audit', ['{"a":1}'])],
    ['unknown-log-type', (key: string) => `{"data":[{"a":1}],"node_key":"${key}"}`],
    ['unexpected-shape', (key: string) => `{"data":{"a":1},"log_type":"result","node_key":"${key}"}`],
  ])('%s: the whole body', async (reason, bodyOf) => {
    const nodeKey = await newNode()
    const body = bodyOf(nodeKey)
    await sendLog(server, body)
    const [item] = await untilQuarantined(server, nodeKey)
    expect(item).toMatchObject({ reason, bytes: body.length, nodeId: idsOf(nodeKey).nodeId })
    expect(Buffer.from(await quarantinedBytes(server, nodeKey, item?.id ?? '')).toString()).toBe(body)
    expect((await readNodeLogs(server, nodeKey)).json<LogList>().items).toEqual([])
  })

  it('an entry that is no object: that entry, and the rest goes on', async () => {
    const nodeKey = await newNode()
    await sendLog(
      server,
      logBody(nodeKey, 'result', ['{"name":"a"}', '"text"', 'null', '[1]', '{"name":"b"}']),
    )
    const { items } = (await untilLines(server, nodeKey, 2)).json<LogList>()
    expect(items.map(({ name }) => name)).toEqual(['b', 'a'])
    const [item] = await untilQuarantined(server, nodeKey)
    expect(item?.reason).toBe('not-an-object')
    expect(Buffer.from(await quarantinedBytes(server, nodeKey, item?.id ?? '')).toString()).toBe(
      '"text"\nnull\n[1]\n',
    )
  })

  it.each(['x', '', '[]', '"text"', '{"data":['])('%j from a known node', async (body) => {
    const nodeKey = await newNode()
    await sendLog(server, body, { authorization: `NodeKey ${nodeKey}` })
    expect((await untilQuarantined(server, nodeKey))[0]?.reason).toBe('malformed')
  })

  it('corrupt gzip from a known node, as it came', async () => {
    const nodeKey = await newNode()
    const corrupt = gzipSync(logBody(nodeKey, 'result', [EVENT])).subarray(0, 100)
    const headers = { authorization: `NodeKey ${nodeKey}`, 'content-encoding': 'gzip' }
    await sendLog(server, corrupt, headers)
    const [item] = await untilQuarantined(server, nodeKey)
    expect(item).toMatchObject({ reason: 'malformed', bytes: 100 })
    expect(Buffer.from(await quarantinedBytes(server, nodeKey, item?.id ?? ''))).toEqual(corrupt)
  })
})

describe.concurrent('who is asking', () => {
  it.each([
    ['no key', '{"data":[],"log_type":"result"}'],
    ['an empty key', '{"data":[],"log_type":"result","node_key":""}'],
    ["another server's key", '{"data":[],"log_type":"result","node_key":"q8Zr0fJ3m1Xy7uTnB5aWc2Lh9eKdVg4s"}'],
  ])('%s: enroll anew', async (_what, body) => {
    const reply = await server.agent('/api/osquery/log', body)
    expect([reply.status, reply.text]).toEqual([200, '{"node_invalid":true}'])
  })

  it.each([
    ['no JSON and no key', 'x'],
    ['nothing', ''],
    ['corrupt gzip', gzipSync('{"node_key":"oen1-x"}').subarray(0, 15)],
    ['a key of a format of tomorrow', '{"data":[],"log_type":"result","node_key":"oen9-abc"}'],
  ])('%s: we do not know, so come back', async (_what, body) => {
    const reply = await server.agent('/api/osquery/log', body, { 'content-encoding': 'gzip' })
    expect([reply.status >= 400, reply.text]).toEqual([true, 'retry'])
  })

  it('a foreign key in the header does not hide the valid one in the body', async () => {
    const nodeKey = await newNode()
    await sendLog(server, logBody(nodeKey, 'result', ['{"name":"x"}']), { authorization: 'NodeKey foreign' })
    await untilLines(server, nodeKey, 1)
  })
})

describe('what a real osqueryd sent', () => {
  const folders = ['01-main', '11-logger-numerics-snapshot-event', '15-file-events-and-big-carve']
  const logs = folders.flatMap((folder) =>
    readCaptures(folder)
      .filter(({ file }) => file.includes('-log-'))
      .map((capture) => ({ folder, ...capture })),
  )

  it.concurrent.each(logs)('$folder/$file: every entry, unchanged', async ({ body, headers }) => {
    const nodeKey = await newNode()
    const text = body.toString().replaceAll(/[0-9a-f]{32}(?="\}$)/g, nodeKey)
    const { data } = JSON.parse(text) as { data: unknown[] }
    const agent: Record<string, string> = { 'user-agent': headers['user-agent'] ?? '' }
    if (headers['authorization'] !== undefined) agent['authorization'] = `NodeKey ${nodeKey}`
    await sendLog(server, text, agent)
    const reply = await untilLines(server, nodeKey, data.length)
    const { items } = reply.json<LogList>()
    expect(items.map(({ line }) => line).reverse()).toEqual(data)
    // As written, not only as parsed: the entries' texts joined are the array that the agent sent.
    const sent = text.slice(text.indexOf('[') + 1, text.lastIndexOf('],"log_type"'))
    for (const { line } of items) expect(sent).toContain(JSON.stringify(line))
  })

  it('leaves nothing in the inbox', () => untilInboxEmpty(server))
})
