import type { NoReply, Reply, TransportOptions } from '../transport.ts'
import { Transport } from '../transport.ts'
import type { Dice } from './dice.ts'

/** Of the lost replies, so many stay lost when the request is sent again, so that the agent must retry by itself. */
const LOST_TWICE_SHARE = 0.2

const LOST: NoReply = { kind: 'no-reply', reason: 'connection broke before the reply', timedOut: false }
const NEVER_SENT: NoReply = {
  kind: 'no-reply',
  reason: 'connection broke before the request',
  timedOut: false,
}

/** Loses more than its share of some path, so that even few requests see it. */
export interface LossyPath {
  /** End of the URL. */
  readonly path: string
  readonly chance: number
}

/** Loses some replies after the server has done its work: each such request reaches the server twice. */
export class LossyTransport extends Transport {
  readonly #dice: Dice
  readonly #lostReplyChance: number
  readonly #lossyPath: LossyPath | undefined
  /** Replies lost so far. */
  lostReplies = 0
  /** Requests of the lossy path that were lost for good, half of them before the server saw them. */
  lostCalls = 0

  constructor(options: TransportOptions, lostReplyChance: number, dice: Dice, lossyPath?: LossyPath) {
    super(options)
    this.#dice = dice
    this.#lostReplyChance = lostReplyChance
    this.#lossyPath = lossyPath
  }

  override async post(
    url: string,
    headers: Readonly<Record<string, string>>,
    body: Uint8Array,
    stop?: AbortSignal,
  ): Promise<Reply | NoReply> {
    if (this.#lossyPath && url.endsWith(this.#lossyPath.path) && this.#dice.hits(this.#lossyPath.chance)) {
      this.lostCalls += 1
      if (this.#dice.hits(0.5)) return NEVER_SENT
      await super.post(url, headers, body, stop)
      return LOST
    }
    const isLost = this.#dice.hits(this.#lostReplyChance)
    const reply = await super.post(url, headers, body, stop)
    if (!isLost || reply.kind === 'no-reply') return reply
    this.lostReplies += 1
    const again = await super.post(url, headers, body, stop)
    return this.#dice.hits(LOST_TWICE_SHARE) ? LOST : again
  }
}
