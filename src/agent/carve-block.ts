/**
 * Carve continue (spec 2.7). Any JSON counts as "stored" for the agent, so that whatever is wrong is `retry`, and `{}`
 * is said only when the block is durable.
 */

import { BlockReader } from '../carves/block-reader.ts'
import { requestTagOf } from '../carves/claim.ts'
import type { Bytes } from '../lib/bytes.ts'
import { fail, ok, type Result } from '../lib/result.ts'
import { announcedBytes, textMember } from './body.ts'
import { openSink, type CarveSink } from './carve-sink.ts'
import { carveTargetOf, refusedBlock, type CarveTarget } from './carve-target.ts'
import { MAX_BLOCK_BODY_BYTES } from './constants.ts'
import type { AgentContext } from './context.ts'
import { DONE, retry, type AgentOutcome } from './outcome.ts'
import { Room } from './room.ts'

/** Time to read the rest of a body that is not going to be stored. */
const DRAIN_WITHIN_MS = 1_000
/** Of a body that nobody wants no more than this is read. */
const MAX_DRAINED_BYTES = 2 * MAX_BLOCK_BODY_BYTES
const TOO_LARGE: AgentOutcome = retry({ kind: 'too-large', maxBytes: MAX_BLOCK_BODY_BYTES })

/** POST carve/block. */
export async function carveBlock(context: AgentContext): Promise<AgentOutcome> {
  const { request } = context
  if (request.body === null) return retry({ kind: 'bad-request', detail: 'there is no body' })
  const body = request.body.getReader()
  const block = new IncomingBlock(context)
  try {
    const isTooLarge = (announcedBytes(request) ?? 0) > MAX_BLOCK_BODY_BYTES
    const arrived = isTooLarge ? fail(TOO_LARGE) : await block.receive(body)
    if (arrived.ok) return await block.store()
    await drain(context, body)
    return arrived.reason
  } catch (error) {
    await drain(context, body)
    throw error
  } finally {
    await block.close()
  }
}

/**
 * Reads what is left of a refused body. An answer before the body's end can reach the agent as a broken connection,
 * and it would send all of it again at once (spec 1.3, transparent resend).
 */
async function drain(
  { deadline }: AgentContext,
  body: ReadableStreamDefaultReader<Uint8Array>,
): Promise<void> {
  let drainedBytes = 0
  while (drainedBytes < MAX_DRAINED_BYTES) {
    const { done, value } = await deadline.run(body.read())
    if (done) return
    drainedBytes += value.length
  }
}

/** One block on its way in. */
class IncomingBlock {
  readonly #context: AgentContext
  readonly #reader = new BlockReader()
  readonly #room = new Room()
  #target: CarveTarget | null = null
  #sink: CarveSink | null = null
  #isStored = false

  constructor(context: AgentContext) {
    this.#context = context
  }

  /** Reads the body to its end. */
  async receive(body: ReadableStreamDefaultReader<Uint8Array>): Promise<Result<null, AgentOutcome>> {
    let receivedBytes = 0
    for (;;) {
      const { done, value } = await this.#context.deadline.run(body.read())
      if (done) break
      receivedBytes += value.length
      if (receivedBytes > MAX_BLOCK_BODY_BYTES) return fail(TOO_LARGE)
      this.#reader.push(value as Bytes)
      const taken = await this.#take(false)
      if (!taken.ok) return taken
    }
    this.#reader.end()
    return this.#take(true)
  }

  /** Says that all of it is there, and waits until it is durable. */
  async store(): Promise<AgentOutcome> {
    if (this.#sink === null || this.#target === null) return retry({ kind: 'unknown-session' })
    const { claim, bytes } = this.#target
    if (this.#reader.decodedBytes !== bytes)
      return refusedBlock(`${this.#reader.decodedBytes} bytes instead of ${bytes}`)
    // Last, because it may come after the data.
    if ((await requestTagOf(textMember(this.#reader.members, 'request_id'))) !== claim.requestTag)
      return retry({ kind: 'unknown-session' })
    const verdict = await this.#context.deadline.run(this.#sink.finish())
    this.#isStored = verdict === 'stored'
    if (!this.#isStored) return retry({ kind: 'unknown-session' })
    this.#context.presence.note(this.#context, claim, 'carve')
    return DONE
  }

  /** Gives back what the block holds; a block that is not stored leaves nothing behind. */
  async close(): Promise<void> {
    this.#room.release()
    if (!this.#isStored) await this.#sink?.abort()
  }

  /** Passes on what was decoded, as soon as it is known where to; until then it waits in its room. */
  async #take(isEnd: boolean): Promise<Result<null, AgentOutcome>> {
    const reader = this.#reader
    if (reader.fault !== null) return fail(retry({ kind: 'bad-request', detail: reader.fault }))
    if (this.#sink === null && (isEnd || isNamed(reader.members))) {
      const target = await carveTargetOf(this.#context, reader.members)
      if (!target.ok) return target
      this.#target = target.value
      this.#sink = openSink(this.#context.env, target.value)
    }
    if (reader.decodedBytes > (this.#target?.bytes ?? MAX_BLOCK_BODY_BYTES))
      return fail(refusedBlock('it has too many bytes'))
    if (!this.#room.covers(this.#sink?.heldBytes ?? reader.decodedBytes))
      return fail(retry({ kind: 'overloaded', what: 'carve-block' }))
    if (this.#sink === null) return ok(null)
    const { deadline } = this.#context
    // Not to the last moment: what is left of the body has to be read before the answer.
    await deadline.run(this.#sink.write(reader.takePieces()), deadline.remainingMs() - DRAIN_WITHIN_MS)
    return ok(null)
  }
}

/** Whether the members have come that say where the data goes. */
function isNamed(members: Readonly<Record<string, unknown>>): boolean {
  return 'session_id' in members && 'block_id' in members
}
