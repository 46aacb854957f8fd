/**
 * The consumer of the log queue: bodies in, archive objects out. Each message is acknowledged or tried again on its
 * own; one that fails holds no other up. Raw lines are at-least-once: readers count an event id once (design 4).
 */

import { CostWatch } from '../costs/cost-watch.ts'
import { archiveAnswers } from './archive-answers.ts'
import { archiveAudit } from './archive-audit.ts'
import { archiveBody } from './archive-body.ts'
import { ArchiveWriter } from './archive-writer.ts'
import { openDelivery, type Delivery } from './delivery.ts'
import { inboxKey, metadataOf } from './inbox.ts'
import { HostWatch } from './host-watch.ts'
import { InventoryWatch } from './inventory-watch.ts'
import { LineWatches } from './line-watch.ts'
import {
  decodeMessage,
  encodeMessage,
  messageName,
  type AnswersMessage,
  type AuditMessage,
  type BodyMessage,
  type LogMessage,
} from './message.ts'
import { SourceLookup } from './source-lookup.ts'
import { BodyGone } from './stored-body.ts'

/** R2 is asked for this many bodies at once: six connections may wait for headers (Workers limits). */
const OPEN_AT_ONCE = 6
/** Lines that wait in memory before they are made objects of: an isolate has 128 MB for everything. */
const FLUSH_OVER_BYTES = 8 * 1_024 * 1_024
const MAX_RETRY_DELAY_S = 600
/** Of one batch; each may come to some seconds of CPU (queries/constants.ts). */
const MAX_ANSWERS_MESSAGES = 6

interface Work<Content extends LogMessage = LogMessage> {
  /** More than one where the same came twice in one batch. */
  messages: Message[]
  content: Content
}

/** What the writer has: to be acknowledged once it is durable. */
interface Taken {
  work: Work
  sourceId: string
  /** The object to delete then; null: there is none. */
  inboxKey: string | null
  /** Whom to tell then; null: nobody. */
  confirm: (() => Promise<void>) | null
}

/** Handles a batch of the log queue or of its dead letters. */
export async function consumeLogs(batch: MessageBatch, env: Env): Promise<void> {
  const works = await worksOf(batch.messages)
  if (batch.queue.includes('-dead')) {
    for (const work of works) await attempt(work, () => reviveDead(env, work.content))
    return
  }
  const run = new ConsumerRun(env)
  const bodies = works.filter(isOfBody)
  await run.learnNodes(bodies.flatMap(({ content: { origin } }) => (origin === null ? [] : [origin.nodeId])))
  for (let i = 0; i < bodies.length; i += OPEN_AT_ONCE) await run.take(bodies.slice(i, i + OPEN_AT_ONCE))
  let answersMessages = 0
  for (const { messages, content } of works) {
    if (content.kind === 'answers') {
      answersMessages += 1
      if (answersMessages <= MAX_ANSWERS_MESSAGES) await run.takeAnswers({ messages, content })
      else for (const message of messages) tryAgain(message, 'enough answers for one batch')
    } else if (content.kind === 'audit') await run.takeAudit({ messages, content })
  }
  await run.settle()
  await run.watches.finish()
}

function isOfBody(work: Work): work is Work<BodyMessage> {
  return work.content.kind === 'body' || work.content.kind === 'pointer'
}

/** What messages are about, each once. A message that cannot be read is left to a newer Worker. */
async function worksOf(messages: readonly Message[]): Promise<Work[]> {
  const works = new Map<string, Work>()
  for (const message of messages) {
    const content = decodeMessage(message.body)
    if (content === null) {
      tryAgain(message, 'of an unknown format')
      continue
    }
    const name = await messageName(content)
    const work = works.get(name)
    if (work === undefined) works.set(name, { messages: [message], content })
    else work.messages.push(message)
  }
  return [...works.values()]
}

/** One batch's way through the archive: taken, then settled, in slices that fit into memory. */
class ConsumerRun {
  readonly watches: LineWatches
  readonly #env: Env
  readonly #writer: ArchiveWriter
  readonly #lookup: SourceLookup
  #taken: Taken[] = []

  constructor(env: Env) {
    this.#env = env
    this.watches = new LineWatches([new CostWatch(env), new InventoryWatch(env.DB), new HostWatch(env)])
    this.#writer = new ArchiveWriter(env)
    this.#lookup = new SourceLookup(env)
  }

  learnNodes(nodeIds: readonly string[]): Promise<void> {
    return this.#lookup.learnNodes(nodeIds)
  }

  async take(works: readonly Work<BodyMessage>[]): Promise<void> {
    const opened = await Promise.all(
      works.map(async (work) => {
        const delivery = await attempt(work, () => openDelivery(this.#env, work.content), false)
        if (delivery === null) for (const message of work.messages) message.ack()
        return { work, delivery }
      }),
    )
    for (const { work, delivery } of opened) {
      if (delivery === null || delivery === undefined) continue
      await this.#archive(work, delivery)
    }
  }

  takeAnswers(work: Work<AnswersMessage>): Promise<void> {
    return this.#take(work, async () => {
      const taken = await archiveAnswers(this.#env, work.content, this.#lookup, this.#writer)
      if (taken === null) for (const message of work.messages) message.ack()
      return taken === null ? null : { work, inboxKey: null, ...taken }
    })
  }

  takeAudit(work: Work<AuditMessage>): Promise<void> {
    return this.#take(work, async () => {
      const sourceId = await archiveAudit(this.#env, work.content, this.#lookup, this.#writer)
      return { work, sourceId, inboxKey: null, confirm: null }
    })
  }

  /** Makes what was taken durable, then forgets it in the inbox, then acknowledges it: in this order. */
  async settle(): Promise<void> {
    const taken = this.#taken
    this.#taken = []
    const failed = await this.#writer.flush()
    const done = taken.filter(({ sourceId }) => !failed.has(sourceId))
    const keys = done.map((one) => one.inboxKey).filter((key) => key !== null)
    let forgotten = true
    try {
      if (keys.length > 0) await this.#env.ARCHIVE.delete(keys)
    } catch (error) {
      forgotten = false
      console.error(JSON.stringify({ event: 'inbox-delete-failed', error: String(error) }))
    }
    for (const { work, sourceId, inboxKey: key, confirm } of taken) {
      const isDone = !failed.has(sourceId) && (forgotten || key === null)
      if (isDone) await attempt(work, async () => confirm?.())
      else for (const message of work.messages) tryAgain(message, 'not in the archive yet')
    }
  }

  #archive(work: Work<BodyMessage>, delivery: Delivery): Promise<void> {
    return this.#take(work, async () => {
      const { origin, sourceId, inboxKey: key } = delivery
      const facts = await this.#lookup.factsOf(origin.environmentId, origin.nodeId)
      try {
        await archiveBody(this.#env, delivery, facts, this.#writer, this.watches)
      } catch (error) {
        if (!(error instanceof BodyGone)) throw error
      }
      return { work, sourceId, inboxKey: key, confirm: null }
    })
  }

  /** Has lines handed to the writer; a failure makes that message come again. Null: there were none. */
  async #take(work: Work, hand: () => Promise<Taken | null>): Promise<void> {
    const taken = await attempt(work, hand, false)
    if (taken !== null && taken !== undefined) this.#taken.push(taken)
    if (this.#writer.heldBytes > FLUSH_OVER_BYTES) await this.settle()
  }
}

/**
 * A message that failed a hundred times: its body goes into the inbox, from where the sweeper brings it again, so that
 * nothing that was acknowledged ever ends here. A pointer's body is there already. A shard tells of its answers again
 * by itself; audit rows go round the queue, and are in D1 in any case.
 */
async function reviveDead(env: Env, content: LogMessage): Promise<void> {
  if (content.kind === 'body') {
    const { origin, body } = content
    await env.ARCHIVE.put(await inboxKey(origin, body), body, { customMetadata: metadataOf(origin, null) })
  } else if (content.kind === 'audit') {
    await env.LOGS.send(encodeMessage(content), { contentType: 'bytes' })
  }
}

/** Does something for a message; a failure makes that message come again, and nothing else. */
async function attempt<T>(work: Work, act: () => Promise<T>, ackAfter = true): Promise<T | undefined> {
  try {
    const result = await act()
    if (ackAfter) for (const message of work.messages) message.ack()
    return result
  } catch (error) {
    for (const message of work.messages) tryAgain(message, String(error))
    return undefined
  }
}

function tryAgain(message: Message, why: string): void {
  console.warn(JSON.stringify({ event: 'log-message-retry', attempts: message.attempts, why }))
  message.retry({ delaySeconds: Math.min(MAX_RETRY_DELAY_S, 2 ** Math.min(message.attempts, 10)) })
}
