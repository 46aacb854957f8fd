/**
 * Finds machines that write under one key: an image that was cloned together with the osquery database (spec 8, 31). One
 * line of each POST is looked at, in the consumer, so that an agent's request costs nothing.
 *
 * What is seen is kept in the isolate's memory alone: the two are found where one isolate takes POSTs of both, which in
 * fleets of some ten thousand nodes is soon, and in larger ones a matter of chance.
 */

import { noteHostUse, twoHostsOf, type HostUse } from '../fleet/host-use.ts'
import { textOf } from '../lib/bytes.ts'
import { Recent } from '../lib/recent.ts'
import { msSince } from '../lib/time.ts'
import { objectOfText } from '../lib/json-value.ts'
import { reportClones } from '../presence/clone-report.ts'
import type { LineWatch, WatchedLine } from './line-watch.ts'
import type { LogOrigin } from './message.ts'

/** Longer ones are left out: parsing them is for those who need it. */
const MAX_LINE_BYTES = 16 * 1_024
const MAX_NAME_CHARACTERS = 255
/** Twice so many nodes are remembered, at some 250 bytes each. */
const NODES_PER_GENERATION = 16_384

/** By node and kind of name, of one isolate, shared between its batches. */
const uses = new Recent<HostUse>(NODES_PER_GENERATION)
/** When somebody was last told of a node, in milliseconds. Not again for so long: where clones are only flagged, say. */
const toldAtMs = new Recent<number>(1_000)
const TELL_AGAIN_AFTER_MS = 3_600_000

/** A name that a line gives its host. The kinds are watched apart, because not every line has both. */
interface NamedHost {
  kind: 'hostIdentifier' | 'host_uuid'
  name: string
}

export class HostWatch implements LineWatch {
  readonly name = 'hosts'
  readonly #env: Env
  /** By node: those that turned out to be two in this batch. */
  readonly #found = new Map<string, { origin: LogOrigin; hosts: readonly [string, string]; key: string }>()

  constructor(env: Env) {
    this.#env = env
  }

  see({ origin, index, bytes }: WatchedLine): void {
    if (index !== 0 || bytes.length > MAX_LINE_BYTES) return
    const { names, atS } = hostsNamedIn(textOf(bytes), origin.receivedAtMs)
    for (const { kind, name } of names) {
      const key = `${origin.nodeId}/${kind}`
      const use = noteHostUse(uses.get(key) ?? null, name, atS)
      uses.set(key, use)
      const hosts = twoHostsOf(use)
      if (hosts !== null) this.#found.set(origin.nodeId, { origin, hosts, key })
    }
  }

  async finish(): Promise<void> {
    for (const { origin, hosts, key } of this.#found.values()) {
      if (msSince(toldAtMs.get(origin.nodeId) ?? 0, Date.now()) < TELL_AGAIN_AFTER_MS) continue
      const { environmentId, ordinal, receivedAtMs } = origin
      // Keys of before this POST came are not told apart; lines that came before it are no new case.
      const atS = Math.floor(receivedAtMs / 1_000)
      await reportClones(this.#env, environmentId, ordinal, { kind: 'two-hosts', hosts, atS })
      toldAtMs.set(origin.nodeId, Date.now())
      uses.set(key, { names: [], returns: 0, sinceS: 0, atS: 0 })
    }
  }
}

/** Empty where the line is none of osquery's shapes. */
function hostsNamedIn(text: string, receivedAtMs: number): { names: NamedHost[]; atS: number } {
  const line = objectOfText(text) ?? {}
  const { hostIdentifier, decorations, unixTime } = line
  const uuid = typeof decorations === 'object' && decorations !== null && 'host_uuid' in decorations
  const told: [NamedHost['kind'], unknown][] = [
    ['hostIdentifier', hostIdentifier],
    ['host_uuid', uuid ? (decorations as { host_uuid: unknown }).host_uuid : undefined],
  ]
  const names = told.flatMap(([kind, name]) =>
    typeof name === 'string' && name !== '' && name.length <= MAX_NAME_CHARACTERS ? [{ kind, name }] : [],
  )
  // A text before 5.10.0 (spec 8, 15).
  const writtenAtS = Number(unixTime)
  const isTold = Number.isSafeInteger(writtenAtS) && writtenAtS > 0
  return { names, atS: isTold ? writtenAtS : Math.floor(receivedAtMs / 1_000) }
}
