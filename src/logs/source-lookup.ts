/** What one batch of the consumer has learned about nodes and environments: each is asked for once, whatever comes. */

import type { NodeFacts } from '../db/node-facts.ts'
import { environmentFactsOf } from './environment-facts.ts'
import { nodeFactsOf } from './node-facts.ts'
import type { EnvironmentFacts, SourceFacts } from './source-facts.ts'

export class SourceLookup {
  readonly #env: Env
  /** Of the nodes that were asked for; null where nothing is to be had. */
  readonly #nodes = new Map<string, NodeFacts | null>()
  readonly #environments = new Map<string, EnvironmentFacts>()

  constructor(env: Env) {
    this.#env = env
  }

  /** Asks for nodes, each once: with D1 hanging a second time would only cost more time. */
  async learnNodes(nodeIds: readonly string[]): Promise<void> {
    const unasked = nodeIds.filter((id) => !this.#nodes.has(id))
    if (unasked.length === 0) return
    const found = await nodeFactsOf(this.#env, unasked)
    for (const id of unasked) this.#nodes.set(id, found.get(id) ?? null)
  }

  /** What is known of a node (null: of none) and its environment. Never throws. */
  async factsOf(environmentId: string, nodeId: string | null): Promise<SourceFacts> {
    if (nodeId !== null) await this.learnNodes([nodeId])
    const environment = await this.#environment(environmentId)
    const node = nodeId === null ? null : this.#nodes.get(nodeId)
    const { hostname = null, platform = null, tags = [] } = node ?? {}
    return { ...environment, hostname, platform, tags }
  }

  async #environment(id: string): Promise<EnvironmentFacts> {
    const known = this.#environments.get(id)
    if (known !== undefined) return known
    const facts = await environmentFactsOf(this.#env, id)
    this.#environments.set(id, facts)
    return facts
  }
}
