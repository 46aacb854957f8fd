/**
 * A distributed write of over 1 MiB: read while it passes into a raw copy, so that it is never whole in memory and a
 * body that turns out to be no JSON, or is over the limit, can still be put aside unchanged.
 */

import type { Bytes } from '../lib/bytes.ts'
import { putQuarantine } from '../logs/quarantine.ts'
import { authenticate } from './authenticate.ts'
import { MAX_WRITE_BODY_BYTES } from './constants.ts'
import type { AgentContext } from './context.ts'
import { DONE, retry, type AgentOutcome } from './outcome.ts'
import { WriteBodyReader } from './write-body.ts'

/** Raw copies on the way; a lifecycle rule ends what a crash leaves behind. */
const INCOMING_PREFIX = 'incoming/'

export async function receiveLargeWrite(
  context: AgentContext,
  announced: number,
  store: (context: AgentContext, reader: WriteBodyReader) => Promise<AgentOutcome>,
): Promise<AgentOutcome> {
  const { env } = context
  const key = `${INCOMING_PREFIX}${crypto.randomUUID()}`
  const reader = new WriteBodyReader()
  try {
    await copyWhileReading(context, announced, key, reader)
    const isJson = reader.end() === null
    if (isJson && announced <= MAX_WRITE_BODY_BYTES) return await store(context, reader)
    return await quarantineCopy(context, key, announced, reader, isJson ? 'too-large' : 'malformed')
  } finally {
    context.waitUntil(env.ARCHIVE.delete(key))
  }
}

async function copyWhileReading(
  context: AgentContext,
  announced: number,
  key: string,
  reader: WriteBodyReader,
): Promise<void> {
  const { env, request, deadline } = context
  const { readable, writable } = new FixedLengthStream(announced)
  const copied = env.ARCHIVE.put(key, readable)
  const writer = writable.getWriter()
  const source = request.body?.getReader()
  for (;;) {
    const piece = await deadline.run(
      source?.read() ?? Promise.resolve({ done: true as const, value: undefined }),
    )
    if (piece.done) break
    // The reader keeps rows as views into its chunk, so the copy gets bytes of its own.
    reader.push(piece.value as Bytes)
    await deadline.run(writer.write(piece.value.slice()))
  }
  await deadline.run(writer.close())
  await deadline.run(copied)
}

async function quarantineCopy(
  context: AgentContext,
  key: string,
  length: number,
  reader: WriteBodyReader,
  reason: 'malformed' | 'too-large',
): Promise<AgentOutcome> {
  const { env, deadline, receivedAtMs } = context
  const node = await authenticate(context, reader.nodeKey)
  if (!node.ok)
    return reader.nodeKey === '' ? retry({ kind: 'bad-request', detail: 'not JSON' }) : node.reason
  const copy = await deadline.run(env.ARCHIVE.get(key))
  if (copy === null) return retry({ kind: 'unavailable', what: 'the raw copy' })
  const { environmentId, nodeId } = node.value.identity
  const item = { environmentId, nodeId, reason, route: 'distributed/write', receivedAtMs }
  await deadline.run(putQuarantine(env, { ...item, stream: copy.body, length }))
  return DONE
}
