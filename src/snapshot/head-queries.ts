/**
 * The open queries of an environment as its head names them, each with the nodes that still remain. What a query comes
 * to is remembered until a report changes it: with fifty fleet-wide queries open, a report on one must not count the
 * other forty-nine anew.
 */

import { partHash } from './compile.ts'
import type { EnvironmentStore } from './environment-store.ts'
import type { HeadQuery } from './head.ts'
import { remainingOf } from './remaining.ts'

export class HeadQueries {
  readonly #store: EnvironmentStore
  /** By number; null: nobody remains. */
  readonly #known = new Map<number, HeadQuery | null>()
  #changes = 0

  constructor(store: EnvironmentStore) {
    this.#store = store
  }

  /** Says that what is stored of these queries changed; without numbers: of all. */
  changed(numbers?: Iterable<number>): void {
    this.#changes += 1
    if (numbers === undefined) return this.#known.clear()
    for (const number of numbers) this.#known.delete(number)
  }

  /** The queries for a head: neither expired nor answered by all. Stores their target parts. */
  async open(nowMs: number): Promise<HeadQuery[]> {
    const open: HeadQuery[] = []
    for (const query of this.#store.queries()) {
      if (query.expiresAtMs <= nowMs) continue
      let known = this.#known.get(query.number)
      // A part that no head named for a while may be gone.
      if (known === undefined || (known !== null && this.#store.part(known.targetPart) === null)) {
        const changes = this.#changes
        known = await this.#count(query)
        // A report may have come in while the hash was made.
        if (changes === this.#changes) this.#known.set(query.number, known)
      }
      if (known !== null) open.push(known)
    }
    return open
  }

  /** The queries that are over, though D1 does not know yet. */
  finished(nowMs: number): { number: number; status: 'complete' | 'expired' }[] {
    const finished: { number: number; status: 'complete' | 'expired' }[] = []
    for (const query of this.#store.queries()) {
      const { number } = query
      const known = this.#known.get(number)
      const nobodyRemains =
        known === undefined ? remainingOf(query, this.#store.remaining(number)).size === 0 : known === null
      if (nobodyRemains && query.staysOpen !== 1) finished.push({ number, status: 'complete' })
      else if (query.expiresAtMs <= nowMs) finished.push({ number, status: 'expired' })
    }
    return finished
  }

  async #count(query: ReturnType<EnvironmentStore['queries']>[number]): Promise<HeadQuery | null> {
    const { number, kind, shards, expiresAtMs, openFrom = null } = query
    const remaining = remainingOf(query, this.#store.remaining(number))
    if (remaining.size === 0 && openFrom === null) return null
    const bytes = remaining.toBytes()
    const targetPart = await partHash(bytes)
    this.#store.putPart(targetPart, bytes)
    const known = { number, kind, shards, expiresAtMs, targetPart }
    return openFrom === null ? known : { ...known, openFrom }
  }
}
