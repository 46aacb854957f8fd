/** One fleet in an environment of its own, the witness of what it is told, and what is found out about it afterwards. */

import { createHash } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import type { SigningKeys } from '../../src/agent/signing-keys.ts'
import { makeEnvironment, type FleetEnvironment } from '../../src/simulator/fleet/environment.ts'
import { startFleet, type Fleet } from '../../src/simulator/fleet/fleet.ts'
import type { OperatorClient } from '../../src/simulator/fleet/operator-client.ts'
import { PROFILES, configurationOf, type Profile } from '../../src/simulator/fleet/profiles.ts'
import { sufferingOf } from '../../src/simulator/fleet/report.ts'
import { clonedHostnames, splitNodesOf } from '../../src/simulator/fleet/split-nodes.ts'
import { subjectOf, verify, type Verification } from '../../src/simulator/fleet/verify.ts'
import type { Evidence } from './invariants.ts'
import { Witness } from './witness.ts'

export interface TrialOptions {
  readonly name: string
  readonly url: string
  readonly client: OperatorClient
  readonly keys: SigningKeys
  readonly nodes: number
  readonly seed: string
  /** Divides the intervals of the profile (60, 60 and 300 s). */
  readonly tempo: number
  /** A live query is opened this often. */
  readonly queryEveryMs: number
  /** Nodes are asked for a file, and one is deleted, this often; absent: never. */
  readonly carveEveryMs?: number
  readonly deleteEveryMs?: number
}

/** A node as the admin route shows it. */
interface ShownNode {
  readonly id: string
  readonly hostname: string
  readonly lastSeenAt: string
  readonly online: boolean
}

/** Servers that nobody carries away: who is off the network cannot be looked for. */
const PROFILE: Profile = { ...PROFILES.servers, lostReplyChance: 0.01, travelShare: 0 }
/** Long enough for any run; it is stopped when its time has come. */
const RUN_MS = 3_600_000
const SPREAD_MS = 2_000
const POLL_MS = 250
/** Presence keeps whole seconds. */
const CLOCK_SLACK_MS = 2_000
const CARVES_AGAIN_AFTER_MS = 2_000
/** A fleet counts as served when no more fails in such a time than it loses by itself, see PROFILE. */
const WINDOW_MS = 2_000
const LOSSES_OF_ITS_OWN_SHARE = 0.03
/** osqueryd's own limit is an hour (spec 4.4): a fleet that is being broken shall come back in seconds. */
const LOG_BACKOFF_MAX_S = 5
/** An isolate gathers presence for up to 15 s (design 4). */
export const PRESENCE_FLUSH_MS = 15_000
/** A member that died in a query is started again within 8 s; and machines may be slow. */
const PRESENCE_SLACK_MS = 10_000

export class Trial {
  readonly environment: FleetEnvironment
  readonly fleet: Fleet
  readonly witness: Witness
  readonly #options: TrialOptions
  readonly #stop = new AbortController()
  readonly #sinceMs = Date.now()

  static async start(options: TrialOptions, witnesses: Map<number, Witness>): Promise<Trial> {
    const configuration = configurationOf(PROFILE, options.tempo)
    const environment = await makeEnvironment(options.client, options.name, {
      ...configuration,
      options: { ...(configuration['options'] as object), logger_tls_backoff_max: LOG_BACKOFF_MAX_S },
    })
    const trial = new Trial(options, environment)
    witnesses.set(Number(new URL(options.url).port), trial.witness)
    return trial
  }

  private constructor(options: TrialOptions, environment: FleetEnvironment) {
    this.#options = options
    this.environment = environment
    const { carveEveryMs, client, deleteEveryMs, queryEveryMs } = options
    const deed = (everyMs: number) => ({ client, environment: environment.id, everyMs })
    this.fleet = startFleet({
      url: options.url,
      enrollSecret: environment.enrollSecret,
      profile: PROFILE,
      nodes: options.nodes,
      seed: options.seed,
      runMs: RUN_MS,
      spreadMs: SPREAD_MS,
      tempo: options.tempo,
      keepAlive: false,
      stop: this.#stop.signal,
      queries: deed(queryEveryMs),
      ...(carveEveryMs !== undefined && { carves: deed(carveEveryMs) }),
      ...(deleteEveryMs !== undefined && { deletions: deed(deleteEveryMs) }),
    })
    const removed = this.fleet.deletions?.removed
    this.witness = new Witness(options.keys, (nodeId) => removed?.has(nodeId) ?? false)
  }

  /** Two intervals of the slowest poll that presence goes by, what gathers it, and slack. */
  get presenceWithinMs(): number {
    const intervalMs = (1_000 * PROFILE.intervals.distributed) / this.#options.tempo
    return 2 * intervalMs + PRESENCE_FLUSH_MS + PRESENCE_SLACK_MS
  }

  /**
   * Waits until every member has a key and hardly anything fails any more; gives how many have no key by then, or one
   * for all where too much still fails.
   */
  async untilWhole(withinMs: number): Promise<Evidence['whole']> {
    const { members, statistics } = this.fleet
    const startMs = Date.now()
    for (;;) {
      const before = { failures: statistics.failures, requests: statistics.requests }
      await sleep(WINDOW_MS)
      const requests = statistics.requests - before.requests
      const isServed =
        requests > 0 && statistics.failures - before.failures <= requests * LOSSES_OF_ITS_OWN_SHARE
      const keyless = members.filter(({ hasEnrolled }) => !hasEnrolled).length
      const tookMs = Date.now() - startMs
      const missing = isServed ? keyless : Math.max(1, keyless)
      if (missing === 0 || tookMs > withinMs) return { members: members.length, missing, tookMs }
    }
  }

  /**
   * Waits until every node that polls is shown as online, and as seen since `sinceMs`; gives those that are not in time.
   * Who backs off by himself, as after a deletion, is not waited for longer than that.
   */
  async untilPresent(sinceMs: number): Promise<Evidence['presence']> {
    const { heardAtMs } = this.witness
    this.witness.listenAnew()
    for (;;) {
      const nowMs = Date.now()
      const nodes = await this.#shownNodes()
      const heard = nodes.filter(({ id }) => heardAtMs.has(id))
      const wrong = heard.filter((node) => !isShownRight(node, sinceMs))
      const isLate = ({ id }: ShownNode) => nowMs - (heardAtMs.get(id) ?? nowMs) > this.presenceWithinMs
      const isOver = heard.length === nodes.length || nowMs - sinceMs > this.presenceWithinMs
      if ((wrong.length === 0 && isOver) || wrong.some(isLate))
        return {
          nodes: heard.length,
          wrong: wrong.map(({ hostname, lastSeenAt }) => `${hostname} last seen ${lastSeenAt}`),
          tookMs: nowMs - sinceMs,
        }
      await sleep(POLL_MS)
    }
  }

  #shownNodes(): Promise<ShownNode[]> {
    return Array.fromAsync(
      this.#options.client.items<ShownNode>(`/environments/${this.environment.id}/nodes`),
    )
  }

  /** Ends the fleet. */
  async stop(): Promise<void> {
    this.#stop.abort()
    await this.fleet.ended
    await this.witness.settled()
  }

  /** Reads everything back. */
  async verify(patienceMs: number): Promise<Verification> {
    // Of machines that shared a node all but one have to be told to enroll anew.
    const cloned = clonedHostnames(this.fleet.members)
    const splits = await splitNodesOf(this.#options.client, this.environment.id, cloned)
    for (const origin of splits.values()) this.witness.excuse(origin)
    return verify({
      ...subjectOf(this.fleet),
      client: this.#options.client,
      environment: this.environment.id,
      isShared: false,
      sinceMs: this.#sinceMs,
      patienceMs,
    })
  }

  /**
   * Carves whose every block was acknowledged, against the archives that operators can download; waits for those that
   * are still being put together.
   */
  async carves(patienceMs: number): Promise<Evidence['carves']> {
    const acknowledged = this.witness.acknowledgedCarves()
    const untilMs = Date.now() + patienceMs
    for (;;) {
      const { archives, others } = await this.#readCarves()
      const missing = acknowledged.filter((sha256) => !archives.has(sha256))
      if (missing.length === 0 || Date.now() > untilMs)
        return {
          acknowledged: acknowledged.length,
          missing: missing.map((sha256) => `SHA-256 ${sha256} (others are ${others.join(', ')})`),
        }
      await sleep(CARVES_AGAIN_AFTER_MS)
    }
  }

  /** SHA-256 of each complete archive, and what became of the other carves. */
  async #readCarves(): Promise<{ archives: Set<string>; others: string[] }> {
    const path = `/environments/${this.environment.id}/carves`
    const archives = new Set<string>()
    const others: string[] = []
    for await (const carve of this.#options.client.items<{ id: string; status: string }>(path)) {
      if (carve.status === 'complete') {
        const archive = await this.#options.client.bytes(`${path}/${carve.id}/archive`)
        if (archive !== undefined) archives.add(createHash('sha256').update(archive).digest('hex'))
      } else {
        // Looking at one asks its object, which notices what it has missed.
        const { status } = await this.#options.client.json<{ status: string }>('GET', `${path}/${carve.id}`)
        others.push(`${carve.id} ${status}`)
      }
    }
    return { archives, others }
  }

  /** What agents would have suffered. Being told `node_invalid` is judged by the witness. */
  suffered(): Record<string, number> {
    const { crashed, failuresTakenForSuccess, linesDropped, schedulesWiped } = sufferingOf(this.fleet)
    return { crashed, failuresTakenForSuccess, linesDropped, schedulesWiped }
  }
}

/** Neither silent nor seen in the future. */
function isShownRight({ lastSeenAt, online }: ShownNode, sinceMs: number): boolean {
  const seenMs = Date.parse(lastSeenAt)
  return online && seenMs >= sinceMs - CLOCK_SLACK_MS && seenMs <= Date.now() + CLOCK_SLACK_MS
}
