/** The consumer by itself, on real bindings: the queue may deliver twice, late, in other batches, or not at all. */

import '../support/workerd-crypto.ts'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { utf8, type Bytes } from '../../src/lib/bytes.ts'
import { consumeLogs } from '../../src/logs/consume.ts'
import { inboxKey, metadataOf } from '../../src/logs/inbox.ts'
import { encodeMessage, type LogMessage, type LogOrigin } from '../../src/logs/message.ts'
import { sweepInbox } from '../../src/logs/sweep.ts'
import { startServer, type TestServer } from '../support/harness.ts'
import { created, enrollHost, makeEnvironment } from '../support/operator.ts'
import { idsOf, logBody, originAt, quarantineOf, readNodeLogs, type LogList } from './support.ts'

const MIB = 1_024 * 1_024
const HOUR_MS = 3_600_000

let server: TestServer
beforeAll(async () => {
  server = await startServer()
})
afterAll(() => server.close())

let hosts = 0
async function newNode(): Promise<{ nodeKey: string; origin: LogOrigin }> {
  hosts += 1
  const nodeKey = await server.enroll(`consumed-${hosts}`)
  const { environmentId, nodeId } = idsOf(nodeKey)
  return { nodeKey, origin: originAt(environmentId, nodeId, Date.now()) }
}

interface Outcome {
  acked: number[]
  /** By place in the batch: the delay in seconds. */
  retried: Map<number, number>
}

/** Hands a batch to the consumer and says what became of each message. */
async function deliver(
  contents: readonly (LogMessage | Bytes)[],
  options: { queue?: string; env?: Env; attempts?: number } = {},
): Promise<Outcome> {
  const outcome: Outcome = { acked: [], retried: new Map() }
  const messages = contents.map((content, at) => ({
    id: String(at),
    timestamp: new Date(),
    attempts: options.attempts ?? 1,
    body: content instanceof Uint8Array ? content : encodeMessage(content),
    ack: () => void outcome.acked.push(at),
    retry: ({ delaySeconds = 0 }: QueueRetryOptions = {}) => void outcome.retried.set(at, delaySeconds),
  }))
  const batch = { queue: options.queue ?? 'osquery-edge-logs', messages } as unknown as MessageBatch
  await consumeLogs(batch, options.env ?? server.env)
  return outcome
}

function bodyMessage(origin: LogOrigin, nodeKey: string, entries: readonly string[]): LogMessage {
  return { kind: 'body', origin, body: utf8(logBody(nodeKey, 'result', entries)) }
}

/** Puts a body where the edge would have put it. */
async function putIntoInbox(origin: LogOrigin, text: string): Promise<string> {
  const key = await inboxKey(origin, utf8(text))
  await server.env.ARCHIVE.put(key, text, { customMetadata: metadataOf(origin, null) })
  return key
}

async function archiveKeys(environmentId: string): Promise<string[]> {
  const { objects } = await server.env.ARCHIVE.list({ prefix: `logs/r90/environment=${environmentId}/` })
  return objects.map(({ key }) => key)
}

async function namesOf(nodeKey: string): Promise<string[]> {
  const { items } = (await readNodeLogs(server, nodeKey)).json<LogList>()
  return items.map(({ name }) => name)
}

describe('at least once', () => {
  it('a redelivered batch overwrites itself', async () => {
    const { nodeKey, origin } = await newNode()
    const batch = [
      bodyMessage(origin, nodeKey, ['{"name":"a"}']),
      bodyMessage(origin, nodeKey, ['{"name":"b"}']),
    ]
    expect((await deliver(batch)).acked).toEqual([0, 1])
    const keys = await archiveKeys(origin.environmentId)
    expect((await deliver(batch.toReversed())).acked).toEqual([0, 1])
    expect(await archiveKeys(origin.environmentId)).toEqual(keys)
    expect((await namesOf(nodeKey)).sort()).toEqual(['a', 'b'])
  })

  it('redelivered among others it lies there twice, and is read once', async () => {
    const { nodeKey, origin } = await newNode()
    const [first, second] = [['{"name":"a"}'], ['{"name":"b"}']].map((entries) =>
      bodyMessage(origin, nodeKey, entries),
    )
    if (first === undefined || second === undefined) throw new Error('two were made')
    await deliver([first])
    const before = await archiveKeys(origin.environmentId)
    await deliver([first, second])
    expect(await archiveKeys(origin.environmentId)).toHaveLength(before.length + 1)
    expect((await namesOf(nodeKey)).sort()).toEqual(['a', 'b'])
  })

  it('the same body twice in one batch is one', async () => {
    const { nodeKey, origin } = await newNode()
    const message = bodyMessage(origin, nodeKey, ['{"name":"a"}'])
    expect((await deliver([message, message])).acked.toSorted((a, b) => a - b)).toEqual([0, 1])
    expect(await namesOf(nodeKey)).toEqual(['a'])
  })

  it('a pointer to an object that is gone is done', async () => {
    const { origin } = await newNode()
    expect(await deliver([{ kind: 'pointer', origin, key: 'inbox/gone/gone' }])).toEqual({
      acked: [0],
      retried: new Map(),
    })
  })
})

describe('archive objects', () => {
  it('are one for each environment, type and hour of a batch, and leave the inbox empty', async () => {
    const { nodeKey, origin } = await newNode()
    const earlier = { ...origin, receivedAtMs: Date.UTC(2026, 0, 2, 3, 59, 59, 999) }
    const later = { ...origin, receivedAtMs: earlier.receivedAtMs + 1 }
    const before = new Set(await archiveKeys(origin.environmentId))
    const text = logBody(nodeKey, 'result', ['{"name":"p"}', '{"name":"s","snapshot":[]}'])
    const key = await putIntoInbox(earlier, text)
    await deliver([
      { kind: 'pointer', origin: earlier, key },
      bodyMessage(earlier, nodeKey, ['{"name":"q"}']),
      bodyMessage(later, nodeKey, ['{"name":"r"}']),
    ])
    const made = (await archiveKeys(origin.environmentId)).filter((made) => !before.has(made))
    expect(made.map((made) => made.split('/').slice(3, -1).join('/'))).toEqual([
      'type=result/date=2026-01-02/hour=03',
      'type=result/date=2026-01-02/hour=04',
      'type=snapshot/date=2026-01-02/hour=03',
    ])
    expect(await server.env.ARCHIVE.head(key)).toBeNull()
  })
})

describe('what lines say beside the agent', () => {
  it('host name and tags of the node, pack and query by the configuration, the kept time by the class', async () => {
    const { id, secret } = await makeEnvironment(server, 'described')
    const nodeKey = await enrollHost(server, 'described-1', { secret })
    const { nodeId } = idsOf(nodeKey)
    const query = { query: 'SELECT 1', interval: 60 }
    const packs = { a_b: { queries: { c_d: query } } }
    created(
      await server.operator('PUT', `/environments/${id}/configuration`, { schedule: { s: query }, packs }),
      200,
    )
    const tagged =
      "INSERT INTO node_tags (environment_id, node_id, tag) VALUES (?1, ?2, 'web'), (?1, ?2, 'prod')"
    await server.env.DB.prepare(tagged).bind(id, nodeId).run()
    const origin = originAt(id, nodeId, Date.now())
    const names = ['s', 'pack_a_b_c_d', 'unknown']
    await deliver([
      bodyMessage(
        origin,
        nodeKey,
        names.map((name) => `{"name":"${name}"}`),
      ),
    ])
    const { items } = (await readNodeLogs(server, nodeKey)).json<LogList>()
    const same = {
      hostname: 'described-1',
      platform: 'linux',
      tags: ['prod', 'web'],
      configurationVersion: 2,
    }
    expect(items.toReversed()).toMatchObject([
      { name: 's', pack: null, query: 's', ...same },
      { name: 'pack_a_b_c_d', pack: 'a_b', query: 'c_d', ...same },
      { name: 'unknown', pack: null, query: null, ...same },
    ])
  })

  it('without a snapshot nothing is known, and lines go all the same', async () => {
    const { nodeKey, origin } = await newNode()
    const away = () => {
      throw new Error('injected: away')
    }
    const elsewhere = { ...origin, environmentId: '0f000000-0000-4000-8000-00000000000f' }
    const env = { ...server.env, ENVIRONMENT: { getByName: away } } as unknown as Env
    expect((await deliver([bodyMessage(elsewhere, nodeKey, ['{"name":"s"}'])], { env })).acked).toEqual([0])
    expect(await archiveKeys(elsewhere.environmentId)).toHaveLength(1)
  })
})

describe('one bad message', () => {
  it('of an unknown format or kind comes again later, the rest goes on', async () => {
    const { nodeKey, origin } = await newNode()
    const bad = [utf8('{"format":2,"kind":"body"}\nx'), utf8('no line feed'), utf8('no JSON\n')]
    const outcome = await deliver([...bad, bodyMessage(origin, nodeKey, ['{"name":"good"}'])])
    expect(outcome).toEqual({
      acked: [3],
      retried: new Map([
        [0, 2],
        [1, 2],
        [2, 2],
      ]),
    })
    expect(await namesOf(nodeKey)).toEqual(['good'])
  })

  it('comes again after 2, 4, 8 s … ten minutes at most', async () => {
    const delays = []
    for (const attempts of [1, 2, 3, 9, 50]) {
      delays.push((await deliver([utf8('bad\n')], { attempts })).retried.get(0))
    }
    expect(delays).toEqual([2, 4, 8, 512, 600])
  })

  it('whose environment has no index that answers holds no other environment up', async () => {
    const { nodeKey, origin } = await newNode()
    const elsewhere = { ...origin, environmentId: '0e000000-0000-4000-8000-00000000000e' }
    const env = {
      ...server.env,
      ARCHIVE_INDEX: {
        getByName: (name: string) => {
          if (name === elsewhere.environmentId) throw new Error('injected: away')
          return server.env.ARCHIVE_INDEX.getByName(name)
        },
      },
    } as unknown as Env
    const batch = [
      bodyMessage(elsewhere, nodeKey, ['{"name":"stays"}']),
      bodyMessage(origin, nodeKey, ['{"name":"goes"}']),
    ]
    expect(await deliver(batch, { env })).toEqual({ acked: [1], retried: new Map([[0, 2]]) })
    expect(await namesOf(nodeKey)).toEqual(['goes'])
  })

  it('with D1 away lines go without a host name, which is filled in when they are read', async () => {
    const { nodeKey, origin } = await newNode()
    let asked = 0
    const away = () => {
      asked += 1
      throw new Error('injected: away')
    }
    const env = { ...server.env, DB: { prepare: away } } as unknown as Env
    expect((await deliver([bodyMessage(origin, nodeKey, ['{"name":"a"}'])], { env })).acked).toEqual([0])
    expect(asked).toBe(1)
    const { items } = (await readNodeLogs(server, nodeKey)).json<LogList>()
    expect(items.map(({ hostname }) => hostname)).toEqual([`consumed-${hosts}`])
  })
})

describe('nothing acknowledged ends', () => {
  it('a body in the dead letter queue goes into the inbox', async () => {
    const { nodeKey, origin } = await newNode()
    const message = bodyMessage(origin, nodeKey, ['{"name":"dead"}'])
    const pointer: LogMessage = { kind: 'pointer', origin, key: 'inbox/x/y' }
    expect((await deliver([message, pointer], { queue: 'osquery-edge-logs-dead' })).acked).toEqual([0, 1])
    const { objects } = await server.env.ARCHIVE.list({ prefix: `inbox/${origin.environmentId}/` })
    expect(objects).toHaveLength(1)
    await deliver([{ kind: 'pointer', origin: null, key: objects[0]?.key ?? '' }])
    expect(await namesOf(nodeKey)).toEqual(['dead'])
  })

  it('the sweeper leaves what is young alone, and asks once when there is nothing', async () => {
    const { nodeKey, origin } = await newNode()
    const key = await putIntoInbox(origin, logBody(nodeKey, 'result', ['{"name":"young"}']))
    const calls: string[] = []
    const env = {
      ARCHIVE: { list: (options: R2ListOptions) => (calls.push('list'), server.env.ARCHIVE.list(options)) },
      LOGS: { sendBatch: () => calls.push('send') },
    } as unknown as Env
    await sweepInbox(env, Date.now())
    expect(calls).toEqual(['list'])
    await server.env.ARCHIVE.delete(key)
  })

  it('the sweeper enqueues what has waited, and the lines appear', async () => {
    const { nodeKey, origin } = await newNode()
    await putIntoInbox(origin, logBody(nodeKey, 'result', ['{"name":"lost"}']))
    await sweepInbox(server.env, Date.now() + 60_000)
    await server.until(async () => (await namesOf(nodeKey)).includes('lost'))
  })
})

describe('an upload whose Worker died before it was judged', () => {
  const unverified = () => `inbox/unverified/${crypto.randomUUID()}`

  it.each([
    ['small', 1],
    ['large', 2 * MIB],
  ])('%s: its own node key says whose it is', async (_size, bytes) => {
    const { nodeKey } = await newNode()
    const key = unverified()
    const receivedAtMs = Date.now() - HOUR_MS
    const body = logBody(nodeKey, 'result', [`{"name":"orphan","v":"${'x'.repeat(bytes)}"}`])
    await server.env.ARCHIVE.put(key, body, { customMetadata: { receivedAtMs: String(receivedAtMs) } })
    // In the Worker, where the signing keys are.
    await server.env.LOGS.send(encodeMessage({ kind: 'pointer', origin: null, key }), {
      contentType: 'bytes',
    })
    const { items } = await server.until(async () => {
      const list = (await readNodeLogs(server, nodeKey)).json<LogList>()
      return list.items.length > 0 ? list : null
    })
    expect(items).toMatchObject([{ name: 'orphan', receivedAt: new Date(receivedAtMs).toISOString() }])
    await server.until(async () => (await server.env.ARCHIVE.head(key)) === null)
  })

  it("nobody's is deleted", async () => {
    const key = unverified()
    await server.env.ARCHIVE.put(key, '{"data":[{"name":"x"}],"log_type":"result","node_key":"foreign"}')
    expect((await deliver([{ kind: 'pointer', origin: null, key }])).acked).toEqual([0])
    expect(await server.env.ARCHIVE.head(key)).toBeNull()
  })

  it('with a key of a format of tomorrow waits for the Worker that knows it', async () => {
    const key = unverified()
    await server.env.ARCHIVE.put(key, '{"data":[{"name":"x"}],"log_type":"result","node_key":"oen9-abc"}')
    expect((await deliver([{ kind: 'pointer', origin: null, key }])).retried.size).toBe(1)
    expect(await server.env.ARCHIVE.head(key)).not.toBeNull()
    await server.env.ARCHIVE.delete(key)
  })
})

it('redelivery puts poison aside once', async () => {
  const { nodeKey, origin } = await newNode()
  const message: LogMessage = { kind: 'body', origin, body: utf8('no JSON') }
  await deliver([message])
  await deliver([message])
  expect(await quarantineOf(server, nodeKey)).toHaveLength(1)
})
