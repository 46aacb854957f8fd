/**
 * Damping of hosts that enroll over and over: a database that cannot be written, a restart loop, clones that fight (spec
 * 2.1). They get the same key again, which is valid, and D1 is not asked. By one isolate's memory: no I/O.
 *
 * No host is kept out. One that is known gets its key; one that is new to an identity in whose name many enroll has to
 * come again once, some seconds later, which osqueryd does by itself after 1, 4 and 9 s (spec 1.6).
 */

import type { EnrollingHost } from '../fleet/identity.ts'
import { sha256HexOfText } from '../lib/bytes.ts'
import { Recent } from '../lib/recent.ts'
import { msSince } from '../lib/time.ts'
import type { VerifiedNodeIdentity } from './node-key.ts'

/** Enrolls of one host in a minute that are nothing unusual: sent twice by a broken connection, tried three times. */
export const FREE_ENROLLS = 3
const MINUTE_MS = 60_000
/** From one asking of D1 to the next while the host goes on: it doubles. What the host tells anew waits so long. */
const FIRST_DISTANCE_MS = 30_000
const LONGEST_DISTANCE_MS = 15 * MINUTE_MS
/** Hosts of one identity that D1 is asked about in a minute; of more each has to come twice. */
export const FREE_HOSTS_OF_IDENTITY = 6
/** What is restarted sooner than this is worth no row. osqueryd's fourth try comes after 14 s. */
export const COME_AGAIN_AFTER_MS = 10_000
/** Twice so many hosts are remembered, at about 500 bytes each. */
const HOSTS_PER_GENERATION = 4_096

/** What the host got last. */
export interface GivenKey {
  identity: VerifiedNodeIdentity
  nodeKey: string
}

interface Host {
  given: GivenKey | null
  /** Askings of D1, the newest last: as many as are free. */
  askedAtMs: number[]
  /** 0: it does not enroll too often. */
  distanceMs: number
  seenAtMs: number
  /** Enrolls since D1 was asked last. */
  damped: number
  /** When it was told to come again; null: never. */
  toldAtMs: number | null
}

export type DamperVerdict =
  /** `damped`: so many of its enrolls D1 has not heard of. */
  { kind: 'ask'; damped: number } | ({ kind: 'same' } & GivenKey) | { kind: 'come-again' }

export class EnrollDamper {
  readonly #hosts = new Recent<Host>(HOSTS_PER_GENERATION)
  /** By identity: when hosts that were new to it were asked about, the newest last. */
  readonly #newHosts = new Recent<number[]>(HOSTS_PER_GENERATION)

  /** What to do with an enroll. `host` and `identity` name them, see `damperNames`. */
  judge(host: string, identity: string, nowMs: number): DamperVerdict {
    const known = this.#hosts.get(host)
    if (known === undefined || msSince(known.seenAtMs, nowMs) > LONGEST_DISTANCE_MS)
      return this.#judgeNew(host, identity, nowMs)
    if (msSince(known.seenAtMs, nowMs) > MINUTE_MS) known.distanceMs = 0
    known.seenAtMs = nowMs
    if (known.given === null) return this.#judgeWaiting(known, nowMs)
    const [oldest = 0] = known.askedAtMs
    const isTooOften = known.askedAtMs.length === FREE_ENROLLS && msSince(oldest, nowMs) < MINUTE_MS
    if (known.distanceMs === 0 && isTooOften) known.distanceMs = FIRST_DISTANCE_MS
    if (msSince(known.askedAtMs.at(-1) ?? 0, nowMs) < known.distanceMs) {
      known.damped += 1
      return { kind: 'same', ...known.given }
    }
    known.distanceMs = Math.min(2 * known.distanceMs, LONGEST_DISTANCE_MS)
    return { kind: 'ask', damped: known.damped }
  }

  /** D1 was asked and gave this. */
  gave(host: string, given: GivenKey, nowMs: number): void {
    const known = this.#hosts.get(host)
    if (known === undefined) return
    known.given = given
    known.damped = 0
    known.askedAtMs = [...known.askedAtMs, nowMs].slice(-FREE_ENROLLS)
  }

  /** What the host was given does not count any more. */
  forget(host: string): void {
    const known = this.#hosts.get(host)
    if (known !== undefined) known.given = null
  }

  #judgeNew(host: string, identity: string, nowMs: number): DamperVerdict {
    const others = (this.#newHosts.get(identity) ?? []).filter((atMs) => msSince(atMs, nowMs) < MINUTE_MS)
    const mayAsk = others.length < FREE_HOSTS_OF_IDENTITY
    if (mayAsk) this.#newHosts.set(identity, [...others, nowMs])
    const toldAtMs = mayAsk ? null : nowMs
    this.#hosts.set(host, { given: null, askedAtMs: [], distanceMs: 0, seenAtMs: nowMs, damped: 0, toldAtMs })
    return mayAsk ? { kind: 'ask', damped: 0 } : { kind: 'come-again' }
  }

  /** D1 has not given it anything yet: it was told to come again, or D1 was away. */
  #judgeWaiting({ toldAtMs }: Host, nowMs: number): DamperVerdict {
    const isEarly = toldAtMs !== null && msSince(toldAtMs, nowMs) < COME_AGAIN_AFTER_MS
    return isEarly ? { kind: 'come-again' } : { kind: 'ask', damped: 0 }
  }
}

/**
 * Names an enrolling host with all that D1 would be told, but for what changes with each start; and its identity. Hashes:
 * a host may call itself by 200 KB, and thousands of names are remembered.
 */
export async function damperNames(
  environmentId: string,
  secretHash: string,
  host: EnrollingHost,
): Promise<{ host: string; identity: string }> {
  const { hostDetails: _changing, ...facts } = host
  return {
    host: await sha256HexOfText(JSON.stringify([environmentId, secretHash, facts])),
    identity: await sha256HexOfText(`${environmentId}/${host.identity}`),
  }
}
