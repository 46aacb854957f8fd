/** Everything that a fleet counts while it runs. */
import type { RequestReport } from '../agent-options.ts'
import type { Counters } from '../counters.ts'
import { newCounters } from '../counters.ts'
import type { EndpointName } from '../endpoints.ts'
import type { LineKind } from '../log-buffer.ts'
import { Latencies } from './latencies.ts'

/** Replies in a row that refuse an upload, from which on an agent counts as wedged. */
const WEDGED_AFTER = 5

export class Statistics {
  /** Of all agents together. */
  readonly counters: Counters = newCounters()
  readonly latencies = new Map<EndpointName, Latencies>()
  requests = 0
  /** Members that hold a key. */
  enrolled = 0
  /** Crashes in mid-query that the fleet made by itself. */
  killed = 0
  /** Crashes between an upload and the deletion of its lines that the fleet made by itself. */
  killedInUpload = 0
  /** Times that a member was away from any network. */
  travels = 0
  /** Lines that members with a small buffer threw away meanwhile, as they should. */
  purgedOnPurpose = 0
  /** Nodes that the fleet's operator deleted. */
  deleted = 0
  /** Times that a member fell asleep. */
  naps = 0
  /** Why calls failed, with how often. */
  readonly reasons = new Map<string, number>()
  readonly #refusalsInRow = new Map<string, number>()

  request({ endpoint, durationMs }: RequestReport): void {
    this.requests += 1
    const latencies = this.latencies.get(endpoint) ?? new Latencies()
    this.latencies.set(endpoint, latencies)
    latencies.add(durationMs)
  }

  failed(endpoint: EndpointName, reason: string): void {
    const text = `${endpoint}: ${reason.replaceAll(/\d{4,}/g, '#')}`
    this.reasons.set(text, (this.reasons.get(text) ?? 0) + 1)
  }

  /** The outcome of an upload that an agent repeats until it is taken: a reply that was a success, or was none. */
  upload(member: number, what: LineKind | 'write', isTaken: boolean): void {
    const key = `${what} of ${member}`
    if (isTaken) this.#refusalsInRow.delete(key)
    else this.#refusalsInRow.set(key, (this.#refusalsInRow.get(key) ?? 0) + 1)
  }

  /** Uploads that the server refused over and over and has not taken since: queues that agents cannot get rid of. */
  get wedged(): number {
    return [...this.#refusalsInRow.values()].filter((refusals) => refusals >= WEDGED_AFTER).length
  }

  get failures(): number {
    return Object.values(this.counters.calls).reduce((sum, { failed }) => sum + failed, 0)
  }
}
