/**
 * The consumer of the log queue: bodies in, archive objects out. Each message is acknowledged or tried again on its
 * own; one that fails holds no other up. Raw lines are at-least-once: readers count an event id once (design 4).
 */

import type { NodeFacts } from '../db/node-facts.ts'
import { archiveBody } from './archive-body.ts'
import { ArchiveWriter } from './archive-writer.ts'
import { openDelivery, type Delivery } from './delivery.ts'
import { environmentFactsOf } from './environment-facts.ts'
import { inboxKey, metadataOf } from './inbox.ts'
import { bodyName, decodeMessage, type LogMessage, type LogOrigin } from './message.ts'
import { nodeFactsOf } from './node-facts.ts'
import type { EnvironmentFacts, SourceFacts } from './source-facts.ts'
import { BodyGone } from './stored-body.ts'

/** R2 is asked for this many bodies at once: six connections may wait for headers (Workers limits). */
const OPEN_AT_ONCE = 6
/** Lines that wait in memory before they are made objects of: an isolate has 128 MB for everything. */
const FLUSH_OVER_BYTES = 8 * 1_024 * 1_024
const MAX_RETRY_DELAY_S = 600

interface Work {
  /** More than one where the same body came twice in one batch. */
  messages: Message[]
  content: LogMessage
}

/** Handles a batch of the log queue or of its dead letters. */
export async function consumeLogs(batch: MessageBatch, env: Env): Promise<void> {
  const works = await worksOf(batch.messages)
  if (batch.queue.includes('-dead')) {
    for (const work of works) await attempt(work, () => reviveDead(env, work.content))
    return
  }
  const origins = works.map(({ content }) => content.origin).filter((origin) => origin !== null)
  const run = new ConsumerRun(env)
  await run.learnNodes(origins.map(({ nodeId }) => nodeId))
  for (let i = 0; i < works.length; i += OPEN_AT_ONCE) await run.take(works.slice(i, i + OPEN_AT_ONCE))
  await run.settle()
}

/** The bodies that messages are about, each once. A message that cannot be read is left to a newer Worker. */
async function worksOf(messages: readonly Message[]): Promise<Work[]> {
  const works = new Map<string, Work>()
  for (const message of messages) {
    const content = decodeMessage(message.body)
    if (content === null) {
      tryAgain(message, 'of an unknown format')
      continue
    }
    const name =
      content.kind === 'pointer' ? content.key : await bodyName(content.origin.nodeId, content.body)
    const work = works.get(name)
    if (work === undefined) works.set(name, { messages: [message], content })
    else work.messages.push(message)
  }
  return [...works.values()]
}

/** One batch's way through the archive: taken, then settled, in slices that fit into memory. */
class ConsumerRun {
  readonly #env: Env
  readonly #writer: ArchiveWriter
  /** Of the nodes that were asked for; null where nothing is to be had. */
  readonly #nodes = new Map<string, NodeFacts | null>()
  readonly #environments = new Map<string, EnvironmentFacts>()
  #taken: { work: Work; delivery: Delivery }[] = []

  constructor(env: Env) {
    this.#env = env
    this.#writer = new ArchiveWriter(env)
  }

  /** Asks for host names and tags, once for each node: with D1 hanging a second time would only cost more time. */
  async learnNodes(nodeIds: readonly string[]): Promise<void> {
    const unasked = nodeIds.filter((id) => !this.#nodes.has(id))
    if (unasked.length === 0) return
    const found = await nodeFactsOf(this.#env, unasked)
    for (const id of unasked) this.#nodes.set(id, found.get(id) ?? null)
  }

  async take(works: readonly Work[]): Promise<void> {
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
      if (this.#writer.heldBytes > FLUSH_OVER_BYTES) await this.settle()
    }
  }

  /** Makes what was taken durable, then forgets it in the inbox, then acknowledges it: in this order. */
  async settle(): Promise<void> {
    const taken = this.#taken
    this.#taken = []
    const failed = await this.#writer.flush()
    const done = taken.filter(({ delivery }) => !failed.has(delivery.sourceId))
    const keys = done.map(({ delivery }) => delivery.inboxKey).filter((key) => key !== null)
    let forgotten = true
    try {
      if (keys.length > 0) await this.#env.ARCHIVE.delete(keys)
    } catch (error) {
      forgotten = false
      console.error(JSON.stringify({ event: 'inbox-delete-failed', error: String(error) }))
    }
    for (const { work, delivery } of taken) {
      const isDone = !failed.has(delivery.sourceId) && (forgotten || delivery.inboxKey === null)
      for (const message of work.messages) {
        if (isDone) message.ack()
        else tryAgain(message, 'not in the archive yet')
      }
    }
  }

  /** What is known of a body's sender: asked for once in a batch, whatever comes of it. */
  async #factsOf({ environmentId, nodeId }: LogOrigin): Promise<SourceFacts> {
    await this.learnNodes([nodeId])
    const environment =
      this.#environments.get(environmentId) ?? (await environmentFactsOf(this.#env, environmentId))
    this.#environments.set(environmentId, environment)
    const node = this.#nodes.get(nodeId)
    return { ...environment, hostname: node?.hostname ?? null, tags: node?.tags ?? [] }
  }

  async #archive(work: Work, delivery: Delivery): Promise<void> {
    const facts = await this.#factsOf(delivery.origin)
    await attempt(
      work,
      async () => {
        try {
          await archiveBody(this.#env, delivery, facts, this.#writer)
        } catch (error) {
          if (!(error instanceof BodyGone)) throw error
        }
        this.#taken.push({ work, delivery })
      },
      false,
    )
  }
}

/**
 * A message that failed a hundred times: its body goes into the inbox, from where the sweeper brings it again, so that
 * nothing that was acknowledged ever ends here. A pointer's body is there already.
 */
async function reviveDead(env: Env, content: LogMessage): Promise<void> {
  if (content.kind === 'pointer') return
  const { origin, body } = content
  await env.ARCHIVE.put(await inboxKey(origin, body), body, { customMetadata: metadataOf(origin, null) })
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
