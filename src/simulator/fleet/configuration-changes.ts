/** Changes the configuration while agents run, as an operator would, and knows who should hold which. */
import type { Member } from './member.ts'
import type { OperatorClient } from './operator-client.ts'
import type { Profile } from './profiles.ts'
import { configurationOf } from './profiles.ts'

export interface ConfigurationChangesOptions {
  readonly client: OperatorClient
  /** UUID or name. */
  readonly environment: string
  readonly profile: Profile
  readonly tempo: number
}

/** An agent fetches it within an interval; the server's snapshot is some seconds old, and the splay is 10 %. */
const INTERVALS = 1.2
const SLACK_MS = 20_000

export class ConfigurationChanges {
  readonly #options: ConfigurationChangesOptions
  readonly #changes: { readonly revision: number; readonly atMs: number }[] = []
  /** Changes that were refused, as the server put it. */
  readonly failures: string[] = []

  constructor(options: ConfigurationChangesOptions) {
    this.#options = options
  }

  /** How many were published. */
  get count(): number {
    return this.#changes.length
  }

  /** Publishes the next one. A refusal is noted, not thrown. */
  async change(): Promise<void> {
    const { client, environment, profile, tempo } = this.#options
    const revision = this.#changes.length + 1
    try {
      const configuration = configurationOf(profile, tempo, revision)
      await client.call('PUT', `/environments/${environment}/configuration`, configuration)
      this.#changes.push({ revision, atMs: Date.now() })
    } catch (error) {
      this.failures.push(error instanceof Error ? error.message : String(error))
    }
  }

  /** How many of the members should have fetched the newest of the changes that are old enough, and how many have not. */
  judge(members: readonly Member[], nowMs: number): { readonly due: number; readonly late: number } {
    const { profile, tempo } = this.#options
    const windowMs = (profile.intervals.config * 1_000 * INTERVALS) / tempo + SLACK_MS
    const change = this.#changes.findLast(({ atMs }) => nowMs - atMs > windowMs)
    if (!change) return { due: 0, late: 0 }
    const due = members.filter(({ isOnline, steadySinceMs }) => isOnline && nowMs - steadySinceMs > windowMs)
    return { due: due.length, late: due.filter(({ revision }) => revision < change.revision).length }
  }
}
