import { once } from 'node:events'
import { request, type IncomingMessage } from 'node:http'
import { afterAll, beforeEach, describe, expect, test } from 'vitest'
import { utf8 } from '../../../src/lib/bytes.ts'
import { envelopeOfLine } from '../../../src/logs/line.ts'
import { s3Kind } from '../../../src/logs/sinks/s3.ts'
import { readS3Reply, s3UrlOf } from '../../../src/logs/sinks/s3-request.ts'
import type { SendRequest } from '../../../src/logs/sinks/sink-kind.ts'
import { startS3Server } from '../../support/sinks/s3.ts'
import { archived, batchOf, ENVIRONMENT_ID, plainSend, stateOf, targetOf } from './support.ts'

const server = await startS3Server()
afterAll(() => server.close())
beforeEach(() => {
  server.maxObjectBytes = 10_000_000
  server.isVirtualHost = false
  server.objects.clear()
  server.requests.length = 0
  server.failures.length = 0
})

function target(settings: Record<string, unknown> = {}, secrets: Record<string, unknown> = {}) {
  const { url: endpoint, bucket, region, accessKeyId, secretAccessKey } = server
  const held = { accessKeyId, secretAccessKey, ...secrets }
  return targetOf(s3Kind, { endpoint, bucket, region, ...settings }, held)
}

function deliver(lines = [archived()], sink = target()) {
  return s3Kind.deliver(batchOf(lines), sink, plainSend)
}

const EMPTY_REPLY = { headers: new Headers(), body: utf8(''), isCut: false }

/** A PUT to our server under a name that nobody resolves; its status. */
async function putByName(path: string, host: string, { headers, body }: SendRequest): Promise<number> {
  const { hostname, port } = new URL(server.url)
  const sent = { ...Object.fromEntries(new Headers(headers)), host }
  const outgoing = request({ hostname, port, path, method: 'PUT', headers: sent })
  outgoing.end(body)
  const [reply] = (await once(outgoing, 'response')) as [IncomingMessage]
  reply.resume()
  return reply.statusCode ?? 0
}

function text(line: ReturnType<typeof archived>): string {
  return new TextDecoder().decode(envelopeOfLine(line)).trimEnd()
}

describe('objects', () => {
  test('lie as in the archive: one for each environment, type and hour, with our envelopes', async () => {
    const lines = [
      archived(),
      archived('{"b":2}', { type: 'status' }),
      archived('{"c":3}', { receivedAt: '2026-11-22T02:00:00.000Z' }),
      archived('{"d":4}'),
    ]
    expect(await deliver(lines)).toEqual({ kind: 'delivered', rejected: [] })
    const folder = `logs/environment=${ENVIRONMENT_ID}`
    const folders = [...server.objects.keys()].map((key) => key.slice(0, key.lastIndexOf('/')))
    expect(folders).toEqual([
      `${folder}/type=result/date=2026-11-22/hour=01`,
      `${folder}/type=status/date=2026-11-22/hour=01`,
      `${folder}/type=result/date=2026-11-22/hour=02`,
    ])
    const [first = ''] = server.objects.keys()
    expect(first).toMatch(/\/[0-9a-f]{32}\.ndjson\.gz$/)
    expect(server.lines(first)).toEqual([lines[0], lines[3]].map((line) => text(line ?? archived())))
  })

  test('overwrite themselves when they come again', async () => {
    const lines = [archived(), archived()]
    server.failures.push('answer-lost')
    await expect(deliver(lines)).rejects.toThrow()
    await deliver(lines)
    await deliver([...lines].reverse())
    expect(server.objects.size).toBe(1)
  })

  test('carry the storage class, under the prefix', async () => {
    await deliver([archived()], target({ prefix: 'fleet-(a)/b=c/', storageClass: 'STANDARD_IA' }))
    const [[key, object] = []] = server.objects
    expect(key?.startsWith('fleet-(a)/b=c/environment=')).toBe(true)
    expect(object?.storageClass).toBe('STANDARD_IA')
  })

  test('that are there are not sent again while others wait', async () => {
    const lines = [archived(), archived('{}', { type: 'status' })]
    expect(await deliver(lines)).toMatchObject({ kind: 'delivered' })
    server.requests.length = 0
    const [put = ''] = server.objects.keys()
    server.failures.push({
      status: 503,
      body: '<Error><Code>SlowDown</Code></Error>',
      headers: { 'retry-after': '2' },
    })
    const waits = await deliver(lines, { ...target(), state: { put: [put] } })
    expect(waits).toEqual({
      kind: 'retry',
      reason: 'HTTP status 503: SlowDown',
      retryAfterMs: 2_000,
      state: { put: [put] },
    })
    expect(await deliver(lines, { ...target(), state: stateOf(waits) })).toMatchObject({ kind: 'delivered' })
    expect(server.requests).toHaveLength(2)
  })
})

describe('the signature', () => {
  test('of a wrong secret is refused', async () => {
    const outcome = await deliver([archived()], target({}, { secretAccessKey: 'wrong' }))
    expect(outcome).toEqual({ kind: 'refused', reason: 'HTTP status 403: SignatureDoesNotMatch' })
  })

  test.each([
    [{ region: 'us-east-1' }, {}, 'HTTP status 400: AuthorizationHeaderMalformed'],
    [{ bucket: 'another' }, {}, 'HTTP status 404: NoSuchBucket'],
    [{}, { accessKeyId: 'AKIAOTHER' }, 'HTTP status 403: InvalidAccessKeyId'],
  ])('for another place or key is refused: %j %j', async (settings, secrets, reason) => {
    expect(await deliver([archived()], target(settings, secrets))).toEqual({ kind: 'refused', reason })
  })

  test('holds for a bucket in the host name too', async () => {
    server.isVirtualHost = true
    const { port } = new URL(server.url)
    const sink = target({ endpoint: `http://s3.test:${port}`, addressing: 'virtual-host' })
    const outcome = await s3Kind.deliver(batchOf([archived()]), sink, async (url, put) => {
      const { host, pathname } = new URL(url)
      expect(host).toBe(`fleet-logs.s3.test:${port}`)
      return { ...EMPTY_REPLY, status: await putByName(pathname, host, put) }
    })
    expect(outcome).toEqual({ kind: 'delivered', rejected: [] })
    expect(server.objects.size).toBe(1)
  })
})

describe('URLs', () => {
  const place = {
    endpoint: 'https://s3.eu-central-1.amazonaws.com',
    bucket: 'b',
    region: 'r',
    storageClass: null,
  }
  test.each([
    ['path', 'https://s3.eu-central-1.amazonaws.com/b/x/y%3D1'],
    ['virtual-host', 'https://b.s3.eu-central-1.amazonaws.com/x/y%3D1'],
  ] as const)('with the bucket in the %s', (addressing, url) => {
    expect(s3UrlOf({ ...place, addressing }, 'x/y=1').href).toBe(url)
  })

  test('below a path of the endpoint', () => {
    const endpoint = 'https://storage.example.com/s3/'
    expect(s3UrlOf({ ...place, endpoint, addressing: 'path' }, 'k').href).toBe(
      'https://storage.example.com/s3/b/k',
    )
  })
})

describe('errors', () => {
  test.each([
    [403, 'AccessDenied', 'refused'],
    [403, 'SignatureDoesNotMatch', 'refused'],
    [403, 'RequestTimeTooSkewed', 'refused'],
    [404, 'NoSuchBucket', 'refused'],
    [301, 'PermanentRedirect', 'refused'],
    [400, 'InvalidStorageClass', 'refused'],
    [400, 'EntityTooLarge', 'split'],
    [400, 'RequestTimeout', 'retry'],
    [400, 'BadDigest', 'retry'],
    [409, 'OperationAborted', 'retry'],
    [429, 'TooManyRequests', 'retry'],
    [500, 'InternalError', 'retry'],
    [503, 'SlowDown', 'retry'],
    [503, 'ServiceUnavailable', 'retry'],
  ])('%i %s: %s', (status, code, kind) => {
    const body = utf8(`<?xml version="1.0"?><Error><Code>${code}</Code><Message>m</Message></Error>`)
    expect(readS3Reply(status, body)).toEqual({ kind, reason: `HTTP status ${status}: ${code}` })
  })

  test.each([
    [200, 'delivered'],
    [413, 'split'],
    [502, 'retry'],
    [404, 'refused'],
  ])('%i without XML: %s', (status, kind) => {
    expect(readS3Reply(status, utf8('<html>')).kind).toBe(kind)
  })

  test('an object over the limit halves the batch', async () => {
    server.maxObjectBytes = 100
    expect(await deliver()).toMatchObject({ kind: 'split' })
  })
})

describe('settings', () => {
  const good = { endpoint: 'https://s3.example.com', bucket: 'fleet', region: 'auto' }
  test.each([
    [{ bucket: 'A_b' }],
    [{ bucket: 'x' }],
    [{ prefix: '/logs/' }],
    [{ prefix: 'logs' }],
    [{ prefix: 'a/../b/' }],
    [{ region: 'eu central' }],
    [{ storageClass: 'cheap' }],
    [{ addressing: 'host' }],
    [{ endpoint: 's3.example.com' }],
  ])('%j are refused', (settings) => {
    expect(s3Kind.settings.safeParse(good).success).toBe(true)
    expect(s3Kind.settings.safeParse({ ...good, ...settings }).success).toBe(false)
  })
})
