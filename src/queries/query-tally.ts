/**
 * What a shard knows of a query's answers beside their number: errors by message and cost. Held in memory and brought
 * up to date from the stored answers in small slices, so that agents never wait for an operator; after an eviction it
 * starts over.
 */

import { addCost, emptyCost, type CostTally } from '../fleet/query-cost.ts'
import type { ArrivalStore } from './arrival-store.ts'

/** Answers in one slice: some 10 µs each make it far shorter than 50 ms (design 4, Distributed write). */
const ANSWERS_PER_SLICE = 1_000
/** Different messages that are told apart; agents make them, so they are not to be trusted with our memory. */
const MAX_MESSAGES = 100

/** Failed answers with the same message. */
export interface ErrorGroup {
  message: string
  nodes: number
  /** One of those nodes. */
  nodeId: string
}

export class QueryTally {
  readonly cost: CostTally = emptyCost()
  readonly #errors = new Map<string, ErrorGroup>()
  #upTo = 0

  /** Reads what has arrived since the last time. May run twice at once: each slice is taken by one. */
  async catchUp(store: ArrivalStore, number: number): Promise<void> {
    for (;;) {
      const slice = store.after(number, this.#upTo, ANSWERS_PER_SLICE)
      for (const { arrival, nodeId, status, message, stats } of slice) {
        this.#upTo = arrival
        addCost(this.cost, nodeId, stats)
        if (status !== 0) this.#addError(message, nodeId)
      }
      if (slice.length < ANSWERS_PER_SLICE) return
      await scheduler.wait(0)
    }
  }

  /** Most frequent first. */
  get errors(): ErrorGroup[] {
    return [...this.#errors.values()].sort((a, b) => b.nodes - a.nodes)
  }

  #addError(message: string, nodeId: string): void {
    const group = this.#errors.get(message)
    if (group !== undefined) group.nodes += 1
    else if (this.#errors.size < MAX_MESSAGES) this.#errors.set(message, { message, nodes: 1, nodeId })
  }
}
