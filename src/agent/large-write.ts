/**
 * A distributed write of over 1 MiB: read while it passes into a raw copy, so that it is never whole in memory and a
 * body that turns out to be no JSON, or is over the limit, can still be put aside unchanged.
 */

import type { Bytes } from '../lib/bytes.ts'
import { putQuarantine } from '../logs/quarantine.ts'
import { authenticate } from './authenticate.ts'
import type { AgentContext } from './context.ts'
import { DONE, retry, type AgentOutcome } from './outcome.ts'
import { answersPutAside } from './write-aside.ts'
import { WriteBodyReader, type WrittenAnswer } from './write-body.ts'
import { WriteFeed, type WriteVerdict } from './write-feed.ts'

/** Raw copies on the way; a lifecycle rule ends what a crash leaves behind. */
const INCOMING_PREFIX = 'incoming/'

/** Keeps the answers of the node that the header or this key names; see distributed-write.ts. */
type StoreAnswers = (
  context: AgentContext,
  bodyKey: string,
  answers: readonly WrittenAnswer[],
) => Promise<AgentOutcome>

export async function receiveLargeWrite(
  context: AgentContext,
  announced: number,
  store: StoreAnswers,
): Promise<AgentOutcome> {
  const { env } = context
  const key = `${INCOMING_PREFIX}${crypto.randomUUID()}`
  const reader = new WriteBodyReader()
  try {
    const verdict = await copyWhileReading(context, announced, key, reader)
    if (verdict === 'whole') return await store(context, reader.nodeKey, await reader.answers())
    const refusal = await putCopyAside(context, key, announced, reader, verdict)
    return refusal ?? (await store(context, reader.nodeKey, answersPutAside(await reader.answers(), verdict)))
  } finally {
    context.waitUntil(env.ARCHIVE.delete(key))
  }
}

async function copyWhileReading(
  context: AgentContext,
  announced: number,
  key: string,
  reader: WriteBodyReader,
): Promise<WriteVerdict> {
  const { env, request, deadline } = context
  const { readable, writable } = new FixedLengthStream(announced)
  const copied = env.ARCHIVE.put(key, readable)
  const writer = writable.getWriter()
  const source = request.body?.getReader()
  const feed = new WriteFeed(reader)
  for (;;) {
    const piece = await deadline.run(
      source?.read() ?? Promise.resolve({ done: true as const, value: undefined }),
    )
    if (piece.done) break
    // The reader keeps rows as views into its chunk, so the copy gets bytes of its own.
    await deadline.run(feed.write(piece.value as Bytes))
    await deadline.run(writer.write(piece.value.slice()))
  }
  const verdict = await deadline.run(feed.end())
  await deadline.run(writer.close())
  await deadline.run(copied)
  return verdict
}

/** Null: it is durable. Else what the agent is told, because nobody knows whose it is. */
async function putCopyAside(
  context: AgentContext,
  key: string,
  length: number,
  reader: WriteBodyReader,
  verdict: Exclude<WriteVerdict, 'whole'>,
): Promise<AgentOutcome | null> {
  const { env, deadline, receivedAtMs } = context
  const node = await authenticate(context, reader.nodeKey, 'taken')
  if (!node.ok)
    return reader.nodeKey === '' ? retry({ kind: 'bad-request', detail: 'not JSON' }) : node.reason
  if (node.value.isPending) return DONE
  const copy = await deadline.run(env.ARCHIVE.get(key))
  if (copy === null) return retry({ kind: 'unavailable', what: 'the raw copy' })
  const { environmentId, nodeId } = node.value.identity
  const reason = verdict === 'malformed' ? 'malformed' : 'too-large'
  const item = { environmentId, nodeId, reason, route: 'distributed/write', receivedAtMs }
  await deadline.run(putQuarantine(env, { ...item, stream: copy.body, length }))
  return null
}
