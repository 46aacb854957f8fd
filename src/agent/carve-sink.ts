/** Where a block's decoded bytes go: held until they are together, or streamed to the session object as they come. */

import { carveSessionStub } from '../carves/claim.ts'
import type { BlockVerdict } from '../carves/carve-session.ts'
import { isBlockAPart } from '../fleet/carve-plan.ts'
import type { Bytes } from '../lib/bytes.ts'
import type { CarveTarget } from './carve-target.ts'

export interface CarveSink {
  /** How much of the block it holds at a time. */
  readonly heldBytes: number
  /** Takes the next bytes; waits until it can take more. */
  write(pieces: readonly Bytes[]): Promise<void>
  /** Says that the block is whole and right. Resolves when it is durable or refused. */
  finish(): Promise<BlockVerdict>
  /** Says that it is not: nothing is kept. */
  abort(): Promise<void>
}

/** A streamed block is never whole in memory: two chunks of the network's, and what RPC buffers. */
const STREAMED_HELD_BYTES = 256 * 1_024

/** The sink for a block. */
export function openSink(env: Env, target: CarveTarget): CarveSink {
  return isBlockAPart(target.claim.plan) ? new StreamingSink(env, target) : new GatheringSink(env, target)
}

class GatheringSink implements CarveSink {
  readonly heldBytes: number
  readonly #env: Env
  readonly #target: CarveTarget
  readonly #block: Bytes
  #filled = 0

  constructor(env: Env, target: CarveTarget) {
    this.#env = env
    this.#target = target
    this.#block = new Uint8Array(target.bytes)
    this.heldBytes = target.bytes
  }

  async write(pieces: readonly Bytes[]): Promise<void> {
    for (const piece of pieces) {
      this.#block.set(piece, this.#filled)
      this.#filled += piece.length
    }
  }

  async finish(): Promise<BlockVerdict> {
    const { claim, blockId } = this.#target
    return carveSessionStub(this.#env, claim).storeBlock(claim, blockId, this.#block)
  }

  async abort(): Promise<void> {}
}

class StreamingSink implements CarveSink {
  readonly heldBytes = STREAMED_HELD_BYTES
  readonly #writer: WritableStreamDefaultWriter<Uint8Array>
  readonly #verdict: Promise<BlockVerdict>
  /** Resolves when the object has decided, which it may do before it has read everything (a block it has). */
  readonly #decided: Promise<void>
  /** The newest piece waits here: the stream must not end before the block is known to be right. */
  #last: Bytes | null = null

  constructor(env: Env, { claim, blockId, bytes }: CarveTarget) {
    const { readable, writable } = new FixedLengthStream(bytes)
    this.#writer = writable.getWriter()
    this.#verdict = carveSessionStub(env, claim).storePart(claim, blockId, readable)
    this.#decided = this.#verdict.then(ignore, ignore)
    // Both also reject when the object stops reading; its verdict says why.
    this.#writer.closed.catch(ignore)
  }

  async write(pieces: readonly Bytes[]): Promise<void> {
    for (const piece of pieces) {
      const before = this.#last
      this.#last = piece
      if (before !== null) await this.#send(before)
    }
  }

  async finish(): Promise<BlockVerdict> {
    if (this.#last !== null) await this.#send(this.#last)
    await Promise.race([this.#writer.close().catch(ignore), this.#decided])
    return this.#verdict
  }

  async abort(): Promise<void> {
    await this.#writer.abort(new Error('the block is not right')).catch(ignore)
  }

  async #send(piece: Bytes): Promise<void> {
    await Promise.race([this.#writer.write(piece).catch(ignore), this.#decided])
  }
}

/** For promises whose failure is told by another one. */
function ignore(): void {}
