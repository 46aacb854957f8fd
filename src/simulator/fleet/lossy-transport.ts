import type { NoReply, Reply, TransportOptions } from '../transport.ts'
import { Transport } from '../transport.ts'
import type { Dice } from './dice.ts'

/** Of the lost replies, so many stay lost when the request is sent again, so that the agent must retry by itself. */
const LOST_TWICE_SHARE = 0.2

const LOST: NoReply = { kind: 'no-reply', reason: 'connection broke before the reply', timedOut: false }

/** Loses some replies after the server has done its work: each such request reaches the server twice. */
export class LossyTransport extends Transport {
  readonly #dice: Dice
  readonly #lostReplyChance: number
  /** Replies lost so far. */
  lostReplies = 0

  constructor(options: TransportOptions, lostReplyChance: number, dice: Dice) {
    super(options)
    this.#dice = dice
    this.#lostReplyChance = lostReplyChance
  }

  override async post(
    url: string,
    headers: Readonly<Record<string, string>>,
    body: Uint8Array,
    stop?: AbortSignal,
  ): Promise<Reply | NoReply> {
    const isLost = this.#dice.hits(this.#lostReplyChance)
    const reply = await super.post(url, headers, body, stop)
    if (!isLost || reply.kind === 'no-reply') return reply
    this.lostReplies += 1
    const again = await super.post(url, headers, body, stop)
    return this.#dice.hits(LOST_TWICE_SHARE) ? LOST : again
  }
}
