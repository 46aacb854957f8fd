/**
 * A laptop's lid. While it is closed the whole process stands still: waits end no sooner than it opens, and connections
 * that were open break. That is what sleep is for osqueryd: nobody tells it, and it goes on where it was.
 */
export class Lid {
  #opening: { readonly promise: Promise<void>; readonly resolve: () => void } | undefined
  #connections = new AbortController()

  get isClosed(): boolean {
    return this.#opening !== undefined
  }

  /** Aborts when the lid closes next. */
  get connections(): AbortSignal {
    return this.#connections.signal
  }

  close(): void {
    if (this.#opening) return
    this.#opening = Promise.withResolvers<void>()
    this.#connections.abort()
    this.#connections = new AbortController()
  }

  open(): void {
    this.#opening?.resolve()
    this.#opening = undefined
  }

  /** Resolves as soon as the lid is open; rejects when the signal aborts before. */
  async passed(signal?: AbortSignal): Promise<void> {
    while (this.#opening) {
      const { promise } = this.#opening
      await new Promise<void>((resolve, reject) => {
        const stop = () => reject(signal?.reason as Error)
        if (signal?.aborted) return stop()
        signal?.addEventListener('abort', stop, { once: true })
        void promise.then(() => {
          signal?.removeEventListener('abort', stop)
          resolve()
        })
      })
    }
  }
}
