/** What lies between one member and the common transport: its lid, its network, and its death while it uploads. */
import type { Dice } from './dice.ts'
import type { NoReply, Reply, Sender } from '../transport.ts'
import type { Lid } from './lid.ts'

export interface MemberNetworkOptions {
  readonly inner: Sender
  readonly lid: Lid
  /** Asked when a reply has arrived and before the agent knows: true and the process dies here. */
  readonly diesAt: (url: string) => boolean
  /** Decides where it is seen from. */
  readonly place: Dice
}

const THIS_MACHINE = /^https?:\/\/(127\.|localhost[:/]|\[::1\])/

export class MemberNetwork implements Sender {
  readonly #options: MemberNetworkOptions
  /** False: far from any network, while the process runs on. */
  isReachable = true

  /** True: it came back to another network than the one that it left. */
  isAbroad = false
  /** Benchmarking networks (RFC 2544) stand for the internet. */
  readonly #addresses: readonly [home: string, abroad: string]

  constructor(options: MemberNetworkOptions) {
    this.#options = options
    const { place } = options
    const rest = [place.between(0, 255), place.between(1, 255)].map(Math.floor).join('.')
    this.#addresses = [`198.18.${rest}`, `198.19.${rest}`]
  }

  /** Where a server saw it so far; nothing where Cloudflare is between, which says what it sees. */
  addressesSeenBy(url: string): readonly string[] {
    return THIS_MACHINE.test(url) ? this.#addresses.slice(0, this.isAbroad ? 2 : 1) : []
  }

  async post(
    url: string,
    headers: Readonly<Record<string, string>>,
    body: Uint8Array,
    stop?: AbortSignal,
  ): Promise<Reply | NoReply> {
    const { diesAt, inner, lid } = this.#options
    try {
      await lid.passed(stop)
      if (!this.isReachable) return broken('no network')
      const { connections } = lid
      const sent = this.#withAddress(url, headers)
      const reply = await untilEither(stop, connections, (cut) => inner.post(url, sent, body, cut))
      await lid.passed(stop)
      // osqueryd sees a dead socket when it wakes; the resend that follows at once has no network yet.
      if (connections.aborted) return broken('the machine slept')
      return diesAt(url) ? broken('the process died') : reply
    } catch (error) {
      if (stop?.aborted) return broken('stopped')
      throw error
    }
  }

  #withAddress(url: string, headers: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
    const address = this.addressesSeenBy(url).at(-1)
    return address === undefined ? headers : { ...headers, 'CF-Connecting-IP': address }
  }

  close(): void {
    // The transport is everybody's.
  }
}

// AbortSignal.any would pile up on a signal that lives as long as the fleet.
async function untilEither<T>(
  stop: AbortSignal | undefined,
  connections: AbortSignal,
  work: (cut: AbortSignal) => Promise<T>,
): Promise<T> {
  const cut = new AbortController()
  const abort = () => cut.abort()
  const signals = stop ? [stop, connections] : [connections]
  for (const signal of signals) {
    if (signal.aborted) abort()
    signal.addEventListener('abort', abort, { once: true })
  }
  try {
    return await work(cut.signal)
  } finally {
    for (const signal of signals) signal.removeEventListener('abort', abort)
  }
}

function broken(reason: string): NoReply {
  return { kind: 'no-reply', reason, timedOut: false }
}
