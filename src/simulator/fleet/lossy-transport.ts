import type { NoReply, Reply, Sender, TransportOptions } from '../transport.ts'
import { Transport } from '../transport.ts'
import { Dice } from './dice.ts'

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

  override post(
    url: string,
    headers: Readonly<Record<string, string>>,
    body: Uint8Array,
    stop?: AbortSignal,
  ): Promise<Reply | NoReply> {
    return this.#postOrLose(this.#dice, url, headers, body, stop)
  }

  /**
   * One member's way through here, with dice of its own for each endpoint: which of its requests are lost follows from
   * the seed, whatever the others do meanwhile.
   */
  senderFor(seed: string): Sender {
    const dice = new Map<string, Dice>()
    return {
      post: (url, headers, body, stop) => {
        const { pathname } = new URL(url)
        const own = dice.get(pathname) ?? new Dice(`network of ${seed} ${pathname}`)
        dice.set(pathname, own)
        return this.#postOrLose(own, url, headers, body, stop)
      },
      close: () => undefined,
    }
  }

  async #postOrLose(
    dice: Dice,
    url: string,
    headers: Readonly<Record<string, string>>,
    body: Uint8Array,
    stop?: AbortSignal,
  ): Promise<Reply | NoReply> {
    if (this.#lossyPath && url.endsWith(this.#lossyPath.path) && dice.hits(this.#lossyPath.chance)) {
      this.lostCalls += 1
      if (dice.hits(0.5)) return NEVER_SENT
      await super.post(url, headers, body, stop)
      return LOST
    }
    const isLost = dice.hits(this.#lostReplyChance)
    const reply = await super.post(url, headers, body, stop)
    if (!isLost || reply.kind === 'no-reply') return reply
    this.lostReplies += 1
    const again = await super.post(url, headers, body, stop)
    return dice.hits(LOST_TWICE_SHARE) ? LOST : again
  }
}
