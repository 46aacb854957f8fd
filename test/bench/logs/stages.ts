/**
 * The stages that lines go through, and what the same bytes cost at least: gunzip, `JSON.parse`, gzip. All in the same
 * isolate, one pass a request; CPU time is taken by who asks. R2 is a map in memory: its CPU time is not ours at
 * Cloudflare. The index is the real object. Runs inside of the Worker.
 */

import { concatBytes, textOf, type Bytes } from '../../../src/lib/bytes.ts'
import { gzip } from '../../../src/lib/compression.ts'
import { inflateMembers } from '../../../src/lib/gzip-members.ts'
import { surveyBody } from '../../../src/logs/body-survey.ts'
import { workStep } from '../../../src/logs/compact/step.ts'
import { consumeLogs } from '../../../src/logs/consume.ts'
import { encodeMessage, type LogOrigin } from '../../../src/logs/message.ts'
import { chunksOf, heldBody } from '../../../src/logs/stored-body.ts'
import { memoryBucket } from './memory-bucket.ts'

/** A full batch (wrangler.toml). */
const BATCH_MESSAGES = 100
/** Past hours are compacted at once. */
const HOURS_AGO = 12
const HOUR_MS = 3_600_000
const MAX_OBJECT_BYTES = 64 * 1_024 * 1_024

/** What one pass did. */
export interface Pass {
  lines: number
  /** Inflated, as they came in; 0 where nobody counted them. */
  bytes: number
}

interface Loaded {
  nodeId: string
  bytes: Bytes
  lines: number
}

let bodies: Loaded[] = []
const bucket = memoryBucket()
/** Where the last pass of the consumer left its objects. */
let environmentId = ''

/** `POST /bodies` takes what passes go over: a line of JSON about the bodies, then their bytes. `POST /<stage>` runs one. */
export const stages: ExportedHandler<Env> = {
  async fetch(request, env) {
    const stage = new URL(request.url).pathname.slice(1)
    const held = { ...env, ARCHIVE: bucket.bucket }
    switch (stage) {
      case 'bodies':
        bodies = unpacked(new Uint8Array(await request.arrayBuffer()))
        return Response.json(bodies.length)
      case 'plain':
        return Response.json(await plainPass())
      case 'scan':
        return Response.json(await scanPass())
      case 'consumer':
        return Response.json(await consumerPass(held))
      case 'plain-objects':
        return Response.json(await plainObjectsPass())
      case 'compaction':
        return Response.json(await compactionPass(held))
      default:
        return new Response('no such stage', { status: 404 })
    }
  },
}

function unpacked(bytes: Bytes): Loaded[] {
  const end = bytes.indexOf(0x0a)
  const heads = JSON.parse(textOf(bytes.subarray(0, end))) as {
    nodeId: string
    length: number
    lines: number
  }[]
  let at = end + 1
  return heads.map(({ nodeId, length, lines }) => {
    at += length
    return { nodeId, lines, bytes: bytes.slice(at - length, at) }
  })
}

/** What nobody can do without: each body inflated and parsed, a batch's text compressed again. */
async function plainPass(): Promise<Pass> {
  const pass = { lines: 0, bytes: 0 }
  for (const batch of batches()) {
    const texts: Bytes[] = []
    for (const { bytes } of batch) {
      const text = concatBytes(await Array.fromAsync(chunksOf(heldBody(bytes))))
      const { data } = JSON.parse(textOf(text)) as { data: unknown[] }
      pass.lines += data.length
      pass.bytes += text.length
      texts.push(text)
    }
    await gzip(concatBytes(texts))
  }
  return pass
}

/** Inflated and taken apart by bytes, as the consumer does it. */
async function scanPass(): Promise<Pass> {
  const pass = { lines: 0, bytes: 0 }
  for (const { bytes } of bodies) {
    const survey = await surveyBody(heldBody(bytes))
    if (!survey.ok) throw new Error(survey.reason)
    for (const entry of survey.value.entries ?? []) {
      pass.lines += 1
      pass.bytes += entry.bytes?.length ?? 0
    }
  }
  return pass
}

/** The consumer's batches as the queue brings them, into an archive of their own. */
async function consumerPass(env: Env): Promise<Pass> {
  bucket.clear()
  environmentId = crypto.randomUUID()
  const receivedAtMs = Math.floor(Date.now() / HOUR_MS - HOURS_AGO) * HOUR_MS
  for (const [at, batch] of batches().entries()) {
    let acknowledged = 0
    const messages = batch.map(({ nodeId, bytes }): Message => {
      const origin: LogOrigin = {
        environmentId,
        nodeId,
        ordinal: 1,
        platform: 'linux',
        receivedAtMs: receivedAtMs + at,
      }
      const body = encodeMessage({ kind: 'body', origin, body: bytes })
      const ack = () => void (acknowledged += 1)
      return { id: '', timestamp: new Date(), attempts: 1, body, ack, retry: () => undefined }
    })
    const queue = 'bench-logs'
    await consumeLogs({ queue, messages, ackAll() {}, retryAll() {} } as unknown as MessageBatch, env)
    if (acknowledged !== messages.length) throw new Error('the consumer did not take everything')
  }
  return { lines: linesIn(bodies), bytes: 0 }
}

/** The same of the consumer's objects: each inflated, its lines parsed, its text compressed. */
async function plainObjectsPass(): Promise<Pass> {
  const pass = { lines: 0, bytes: 0 }
  for (const file of bucket.files()) {
    for await (const ndjson of inflateMembers(file, MAX_OBJECT_BYTES)) {
      for (const line of textOf(ndjson).split('\n')) {
        if (line === '') continue
        JSON.parse(line)
        pass.lines += 1
      }
      pass.bytes += ndjson.length
      await gzip(ndjson)
    }
  }
  return pass
}

/** The whole work of the compaction on what the consumer left, the index included. */
async function compactionPass(env: Env): Promise<Pass> {
  const pass = { lines: linesIn(bodies), bytes: 0 }
  for (;;) {
    const outcome = await workStep(env, environmentId, Date.now())
    if (outcome === 'failed') throw new Error('a step failed')
    const { compaction } = await env.ARCHIVE_INDEX.getByName(environmentId).health()
    // What comes after is the inspection of R2, which is no part of it.
    if (outcome === 'idle' || compaction.rawObjects === 0) return pass
  }
}

function batches(): Loaded[][] {
  return Array.from({ length: Math.ceil(bodies.length / BATCH_MESSAGES) }, (_, i) =>
    bodies.slice(i * BATCH_MESSAGES, (i + 1) * BATCH_MESSAGES),
  )
}

function linesIn(some: readonly Loaded[]): number {
  return some.reduce((sum, { lines }) => sum + lines, 0)
}
