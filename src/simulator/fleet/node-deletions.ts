/** Deletes nodes while they run, as an operator would by mistake: their agents must enroll anew and go on. */
import { setTimeout } from 'node:timers/promises'
import type { Member } from './member.ts'
import { OperatorFailure, type OperatorClient } from './operator-client.ts'

/** Longer than any fault of a rehearsal lasts. */
const MAX_ATTEMPTS = 90
const ATTEMPT_EVERY_MS = 1_000

export interface NodeDeletionsOptions {
  readonly client: OperatorClient
  /** UUID or name. */
  readonly environment: string
  /** One of the members that are online; undefined if none is. */
  readonly pick: () => Member | undefined
  /** Told before the node is deleted, because its agents may know first. */
  readonly onDeleting: (machine: number) => void
}

export class NodeDeletions {
  readonly #options: NodeDeletionsOptions
  /** Machines of the deleted nodes, by node. */
  readonly removed = new Map<string, number>()
  /** Nodes that could not be deleted, as the server put it. */
  readonly failures: string[] = []

  constructor(options: NodeDeletionsOptions) {
    this.#options = options
  }

  /** Deletes the next one. A refusal is noted, not thrown. */
  async remove(): Promise<void> {
    const { client, environment, onDeleting, pick } = this.#options
    const member = pick()
    if (!member) return
    try {
      const path = `/environments/${environment}/nodes`
      const { items } = await client.json<{ items: { id: string; hostname: string }[] }>(
        'GET',
        `${path}?q=${encodeURIComponent(member.host.hostname)}`,
      )
      const [found, ...more] = items.filter(({ hostname }) => hostname === member.host.hostname)
      // Made-up hostnames are alike once in a while: whose node it is would be a guess.
      if (!found || more.length > 0) return
      this.removed.set(found.id, member.plan.machine)
      onDeleting(member.plan.machine)
      await this.#delete(found.id, `${path}/${found.id}`)
    } catch (error) {
      this.failures.push(error instanceof Error ? error.message : String(error))
    }
  }

  /**
   * Asks until it is known what became of it: where no answer came, or the server failed, the node may be gone or not. A
   * refusal says that it is not.
   */
  async #delete(id: string, path: string): Promise<void> {
    for (let attempt = 1; ; attempt += 1) {
      try {
        await this.#options.client.call('DELETE', path)
        return
      } catch (error) {
        const status = error instanceof OperatorFailure ? error.status : 0
        if (status === 404) return
        const isRefused = status >= 400 && status < 500
        if (isRefused) this.removed.delete(id)
        if (isRefused || attempt >= MAX_ATTEMPTS) throw error
        await setTimeout(ATTEMPT_EVERY_MS)
      }
    }
  }
}
