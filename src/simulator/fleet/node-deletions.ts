/** Deletes nodes while they run, as an operator would by mistake: their agents must enroll anew and go on. */
import type { Member } from './member.ts'
import type { OperatorClient } from './operator-client.ts'

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
        `${path}?q=${encodeURIComponent(member.hostname)}`,
      )
      const [found, ...more] = items.filter(({ hostname }) => hostname === member.hostname)
      // Made-up hostnames are alike once in a while: whose node it is would be a guess.
      if (!found || more.length > 0) return
      this.removed.set(found.id, member.plan.machine)
      onDeleting(member.plan.machine)
      await client.call('DELETE', `${path}/${found.id}`)
    } catch (error) {
      this.failures.push(error instanceof Error ? error.message : String(error))
    }
  }
}
