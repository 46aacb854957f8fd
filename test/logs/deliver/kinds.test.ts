/** Splunk HEC, Elasticsearch and S3 on the whole Worker: to servers that have their limits and errors. */

import '../../support/workerd-crypto.ts'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { startServer, type TestServer } from '../../support/harness.ts'
import { created, problemOf } from '../../support/operator.ts'
import { startElasticsearchServer } from '../../support/sinks/elasticsearch.ts'
import { startS3Server } from '../../support/sinks/s3.ts'
import { startHecServer } from '../../support/sinks/splunk-hec.ts'
import { idsNamed, linesNamed, newWorld, type SinkView, type SinkWorld } from './support.ts'

const hec = await startHecServer()
const elasticsearch = await startElasticsearchServer()
const s3 = await startS3Server()

let server: TestServer
let world: SinkWorld
beforeAll(async () => {
  server = await startServer()
})
afterAll(() => Promise.all([server.close(), hec.close(), elasticsearch.close(), s3.close()]))
beforeEach(async () => {
  world = await newWorld(server)
  Object.assign(hec, { acknowledges: false, maxContentLength: 1_000_000, events: [] })
  elasticsearch.maxContentLength = 1_000_000
  elasticsearch.streams.clear()
  s3.objects.clear()
})

const sinks = {
  'splunk-hec': () => ({ settings: { url: hec.url }, secrets: { token: hec.token } }),
  elasticsearch: () => ({
    settings: { url: elasticsearch.url },
    secrets: { username: elasticsearch.username, password: elasticsearch.password },
  }),
  s3: () => ({
    settings: { endpoint: s3.url, bucket: s3.bucket, region: s3.region },
    secrets: { accessKeyId: s3.accessKeyId, secretAccessKey: s3.secretAccessKey },
  }),
}
type Kind = keyof typeof sinks
const KINDS = Object.keys(sinks) as Kind[]

/** The ids of agents' lines that a destination has; not the test delivery's. */
function taken(kind: Kind): string[] {
  if (kind === 'splunk-hec') return hec.events.map(({ fields }) => String(fields['event_id'])).filter(isOurs)
  if (kind === 'elasticsearch') {
    return [...elasticsearch.streams.values()].flatMap((documents) => [...documents.keys()]).filter(isOurs)
  }
  return [...s3.objects.keys()]
    .flatMap((key) => s3.lines(key).map((line) => (JSON.parse(line) as { eventId: string }).eventId))
    .filter(isOurs)
}

function isOurs(id: string): boolean {
  return id.includes('-')
}

async function makeSink(
  kind: Kind,
  more: { settings?: object; [name: string]: unknown } = {},
): Promise<SinkView> {
  const { settings, secrets } = sinks[kind]()
  const body = { name: kind, kind, settings: { ...settings, ...more.settings }, secrets }
  return created(await server.operator('POST', world.path, { ...body, ...more, settings: body.settings }))
}

async function untilTaken(kind: Kind, ids: readonly string[]): Promise<void> {
  await server.until(async () => ids.every((id) => taken(kind).includes(id)))
}

describe.each(KINDS)('%s', (kind) => {
  it('gets every line once', async () => {
    await makeSink(kind)
    const ids = idsNamed(`${kind}-once-`, 40)
    await world.archive(linesNamed(ids.slice(0, 25)), linesNamed(ids.slice(25), { type: 'status', name: '' }))
    await untilTaken(kind, ids)
    expect(taken(kind).toSorted((a, b) => a.localeCompare(b))).toEqual(ids)
  })

  it('is tested before it is saved: what the destination refuses is refused', async () => {
    const { secrets } = sinks[kind]()
    const wrong = Object.fromEntries(Object.entries(secrets).map(([name]) => [name, 'wrong']))
    const reply = await server.operator('POST', world.path, {
      name: 'x',
      kind,
      ...sinks[kind](),
      secrets: wrong,
    })
    expect(problemOf(reply).status).toBe(422)
    expect(reply.text).not.toContain('wrong')
    expect(reply.text).toMatch(/Invalid token|security_exception|InvalidAccessKeyId/)
  })

  it('is refused with the field named where its settings break a rule', async () => {
    const { settings } = sinks[kind]()
    const field = 'url' in settings ? 'url' : 'endpoint'
    const ask = (more: Record<string, unknown>) =>
      server.operator('POST', world.path, {
        name: 'x',
        kind,
        ...sinks[kind](),
        settings: { ...settings, ...more },
      })
    expect(problemOf(await ask({ [field]: 'nowhere' })).pointers).toEqual([`/settings/${field}`])
    expect(problemOf(await ask({ [field]: 'http://169.254.169.254/' })).pointers).toEqual([
      `/settings/${field}`,
    ])
  })
})

describe('a batch that is too large', () => {
  it.each(['splunk-hec', 'elasticsearch'] as const)('goes to %s in halves', async (kind) => {
    await makeSink(kind, { delivery: { gzip: false } })
    Object.assign(kind === 'splunk-hec' ? hec : elasticsearch, { maxContentLength: 4_000 })
    const ids = idsNamed(`${kind}-halves-`, 60)
    await world.archive(linesNamed(ids))
    await untilTaken(kind, ids)
    expect(taken(kind)).toHaveLength(60)
  })
})

describe('lines that Elasticsearch refuses', () => {
  it('go to the quarantine of the sink; what it has no room for now goes again; the rest goes on', async () => {
    const sink = await makeSink('elasticsearch')
    const ids = idsNamed('items-', 10)
    const [odd = '', busy = ''] = ids
    elasticsearch.itemFailures.set(odd, [
      { status: 400, type: 'document_parsing_exception', reason: 'no date' },
    ])
    elasticsearch.itemFailures.set(busy, [
      { status: 429, type: 'es_rejected_execution_exception', reason: 'full' },
    ])
    await world.archive(linesNamed(ids))
    await untilTaken('elasticsearch', ids.slice(1))
    const { rejectedLines } = await server.until(async () => {
      const { health } = await world.sink(sink.id)
      return health?.rejectedLines === 1 && health.lag?.objects === 0 ? health : null
    })
    expect(rejectedLines).toBe(1)
    expect(taken('elasticsearch')).toHaveLength(9)
    const quarantine = await server.operator('GET', `${world.path}/${sink.id}/quarantine`)
    expect(quarantine.text).toContain('document_parsing_exception')
  })
})

describe('Splunk with acknowledgements', () => {
  it('has a batch delivered once it says that it is indexed', async () => {
    Object.assign(hec, { acknowledges: true, indexedAfterPolls: 1 })
    const sink = await makeSink('splunk-hec', { settings: { acknowledgements: true } })
    const ids = idsNamed('acks-', 5)
    await world.archive(linesNamed(ids))
    await untilTaken('splunk-hec', ids)
    await server.until(async () => {
      const { health } = await world.sink(sink.id)
      return health?.delivered.lines === 5 && health.lag?.objects === 0
    })
    expect(taken('splunk-hec')).toEqual(ids)
  })
})
