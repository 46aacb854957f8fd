/** Every kind against destinations that break off: nothing is called delivered, and the next attempt delivers. */

import { afterAll, describe, expect, test } from 'vitest'
import { OutgoingFailed, sendOut } from '../../../src/lib/outgoing.ts'
import { elasticsearchKind } from '../../../src/logs/sinks/elasticsearch.ts'
import { s3Kind } from '../../../src/logs/sinks/s3.ts'
import type { Send, SinkKind } from '../../../src/logs/sinks/sink-kind.ts'
import { splunkHecKind } from '../../../src/logs/sinks/splunk-hec.ts'
import { startElasticsearchServer } from '../../support/sinks/elasticsearch.ts'
import { startS3Server } from '../../support/sinks/s3.ts'
import { startHecServer } from '../../support/sinks/splunk-hec.ts'
import { archived, batchOf, targetOf } from './support.ts'

const hec = await startHecServer()
const elasticsearch = await startElasticsearchServer()
const s3 = await startS3Server()
afterAll(() => Promise.all([hec.close(), elasticsearch.close(), s3.close()]))

const send: Send = (url, request) => sendOut(url, request, { allowedHosts: '127.0.0.1', timeoutMs: 300 })

const cases = [
  {
    server: hec,
    kind: splunkHecKind as SinkKind,
    settings: { url: hec.url },
    secrets: { token: hec.token },
    /** How many are there after an answer was lost: Splunk takes a line twice and has no ids. */
    afterLostAnswer: 2,
    count: () => hec.events.length,
    empty: () => hec.events.splice(0),
  },
  {
    server: elasticsearch,
    kind: elasticsearchKind as SinkKind,
    settings: { url: elasticsearch.url },
    secrets: { apiKey: elasticsearch.apiKey },
    afterLostAnswer: 1,
    count: () => elasticsearch.documents().length,
    empty: () => elasticsearch.streams.clear(),
  },
  {
    server: s3,
    kind: s3Kind as SinkKind,
    settings: { endpoint: s3.url, bucket: s3.bucket, region: s3.region },
    secrets: { accessKeyId: s3.accessKeyId, secretAccessKey: s3.secretAccessKey },
    afterLostAnswer: 1,
    count: () => s3.objects.size,
    empty: () => s3.objects.clear(),
  },
]

describe.each(cases)('$kind.name', ({ server, kind, settings, secrets, afterLostAnswer, count, empty }) => {
  test.each([
    ['hanging', 1],
    ['half-closed', 1],
    ['reset', 1],
    ['answer-lost', afterLostAnswer],
  ] as const)('%s: fails, then delivers', async (failure, expected) => {
    empty()
    server.failures.push(failure)
    const batch = batchOf([archived()])
    const sink = targetOf(kind, settings, secrets)
    await expect(kind.deliver(batch, sink, send)).rejects.toThrow(OutgoingFailed)
    expect(await kind.deliver(batch, sink, send)).toEqual({ kind: 'delivered', rejected: [] })
    expect(count()).toBe(expected)
  })

  test('a redirect to another host is not followed', async () => {
    empty()
    server.failures.push({ status: 307, headers: { location: 'http://169.254.169.254/latest' } })
    const outcome = await kind.deliver(batchOf([archived()]), targetOf(kind, settings, secrets), send)
    expect(outcome.kind).toBe('refused')
    expect(count()).toBe(0)
  })
})
