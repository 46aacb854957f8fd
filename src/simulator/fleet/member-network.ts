/** What lies between one member and the common transport: its lid, its network, and its death while it uploads. */
import type { NoReply, Reply, Sender } from '../transport.ts'
import type { Lid } from './lid.ts'

export interface MemberNetworkOptions {
  readonly inner: Sender
  readonly lid: Lid
  /** Asked when a reply has arrived and before the agent knows: true and the process dies here. */
  readonly diesAt: (url: string) => boolean
}

export class MemberNetwork implements Sender {
  readonly #options: MemberNetworkOptions
  /** False: far from any network, while the process runs on. */
  isReachable = true

  constructor(options: MemberNetworkOptions) {
    this.#options = options
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
      const reply = await untilEither(stop, connections, (cut) => inner.post(url, headers, body, cut))
      await lid.passed(stop)
      // osqueryd sees a dead socket when it wakes; the resend that follows at once has no network yet.
      if (connections.aborted) return broken('the machine slept')
      return diesAt(url) ? broken('the process died') : reply
    } catch (error) {
      if (stop?.aborted) return broken('stopped')
      throw error
    }
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
