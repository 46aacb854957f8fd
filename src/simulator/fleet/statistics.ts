/** Everything that a fleet counts while it runs. */
import type { RequestReport } from '../agent-options.ts'
import type { Counters } from '../counters.ts'
import { newCounters } from '../counters.ts'
import type { EndpointName } from '../endpoints.ts'
import { Latencies } from './latencies.ts'

/** Failures in a row on one endpoint, each with a reply, that make an agent count as wedged. */
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
  /** Times that a member fell asleep. */
  naps = 0
  /** Why calls failed, with how often. */
  readonly reasons = new Map<string, number>()
  readonly #failuresInRow = new Map<string, number>()
  /** Agents and endpoints that were wedged at some time. */
  readonly #wedged = new Set<string>()

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

  /** The outcome of an upload that an agent repeats until it is taken. */
  upload(member: number, endpoint: 'log' | 'write', isTaken: boolean): void {
    const key = `${endpoint} of ${member}`
    if (isTaken) this.#failuresInRow.delete(key)
    else {
      const failures = (this.#failuresInRow.get(key) ?? 0) + 1
      this.#failuresInRow.set(key, failures)
      if (failures >= WEDGED_AFTER) this.#wedged.add(key)
    }
  }

  /** Uploads that failed over and over: an agent's queue that the server does not take. */
  get wedged(): number {
    return this.#wedged.size
  }

  get failures(): number {
    return Object.values(this.counters.calls).reduce((sum, { failed }) => sum + failed, 0)
  }
}
