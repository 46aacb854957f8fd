/** From targets to nodes: D1 knows what they are, presence who is there; the rest is set algebra. */

import type { ControlDb } from '../db/control.ts'
import { findNodeSetByName } from '../db/node-sets.ts'
import { highestOrdinal } from '../db/environments.ts'
import { distributedIntervalOption } from '../db/nodes.ts'
import { allNodes, nodesEnrolledSince, nodesListed, nodesOfVersions } from '../db/targets.ts'
import { NodeSet } from '../fleet/node-set.ts'
import { onlineForS } from '../fleet/online.ts'
import { isInShare } from '../fleet/share.ts'
import { listOf, type TargetFault, type Targets } from '../fleet/targeting.ts'
import type { NodeState } from '../fleet/standing.ts'
import { readVersionRange } from '../fleet/version-range.ts'
import { Deadline } from '../lib/deadline.ts'
import { seenSince } from '../presence/read.ts'

/** An object that does not say in this time is an outage. */
const PRESENCE_WITHIN_MS = 3_000

/** Where and when targets are resolved. */
export interface TargetPlace {
  env: Env
  db: ControlDb
  environmentId: string
  nowMs: number
  /** Among which nodes: those that get configuration and queries, unless it says others. */
  state?: NodeState
}

/** Resolves targets of one request. Afterwards `faults` has every value that is unknown here. */
export class TargetResolver {
  readonly faults: TargetFault[] = []
  readonly #place: TargetPlace
  #all: NodeSet | null = null
  #online: NodeSet | null = null

  constructor(place: TargetPlace) {
    this.#place = place
  }

  /** The nodes; a set of the caller's own. Throws where D1 or presence does not answer. */
  async resolve(targets: Targets, pointer: string): Promise<NodeSet> {
    const list = listOf(targets)
    if (list !== null) {
      const found = await nodesListed(this.#place.db, this.#environmentId, list, this.#place.state)
      return found.ok ? found.value : this.#unknown(found.reason, pointer)
    }
    if ('anyOf' in targets) return this.#anyOf(targets.anyOf, `${pointer}/anyOf`)
    if ('allOf' in targets) return this.#allOf(targets.allOf, `${pointer}/allOf`)
    if ('not' in targets) {
      const rest = copyOf(await this.#everyone())
      rest.deleteAll(await this.resolve(targets.not, `${pointer}/not`))
      return rest
    }
    if ('percent' in targets)
      return (await this.#everyone()).filter((ordinal) => isInShare(ordinal, targets.percent))
    if ('online' in targets) return this.#isOnline(targets.online)
    if ('osqueryVersion' in targets) {
      const isMeant = readVersionRange(targets.osqueryVersion)
      const { db, state } = this.#place
      return nodesOfVersions(db, this.#environmentId, (version) => isMeant?.(version) === true, state)
    }
    if ('nodeSet' in targets) return this.#saved(targets.nodeSet, pointer)
    return copyOf(await this.#everyone())
  }

  /** The nodes of the environment that are online now. */
  async online(): Promise<NodeSet> {
    return copyOf(await this.#isOnline(true))
  }

  get #environmentId(): string {
    return this.#place.environmentId
  }

  async #everyone(): Promise<NodeSet> {
    this.#all ??= await allNodes(this.#place.db, this.#environmentId, this.#place.state)
    return this.#all
  }

  async #anyOf(terms: readonly Targets[], pointer: string): Promise<NodeSet> {
    const any = new NodeSet()
    for (const [index, term] of terms.entries()) any.addAll(await this.resolve(term, `${pointer}/${index}`))
    return any
  }

  async #allOf(terms: readonly Targets[], pointer: string): Promise<NodeSet> {
    const every = copyOf(await this.#everyone())
    for (const [index, term] of terms.entries())
      every.retainAll(await this.resolve(term, `${pointer}/${index}`))
    return every
  }

  async #isOnline(wanted: boolean): Promise<NodeSet> {
    this.#online ??= await this.#readOnline()
    const set = copyOf(await this.#everyone())
    if (wanted) set.retainAll(this.#online)
    else set.deleteAll(this.#online)
    return set
  }

  async #readOnline(): Promise<NodeSet> {
    const { db, env, nowMs } = this.#place
    const interval = await distributedIntervalOption(db, this.#environmentId)
    const sinceMs = nowMs - onlineForS(interval) * 1_000
    const highest = await highestOrdinal(db, this.#environmentId)
    const seen = await new Deadline(PRESENCE_WITHIN_MS).run(
      seenSince(env, this.#environmentId, highest, Math.ceil(sinceMs / 1_000)),
    )
    seen.addAll(await nodesEnrolledSince(db, this.#environmentId, sinceMs))
    return seen
  }

  async #saved(name: string, pointer: string): Promise<NodeSet> {
    const saved = await findNodeSetByName(this.#place.db, this.#environmentId, name)
    if (saved === null)
      return this.#unknown(
        [{ pointer: '/nodeSet', detail: 'there is no such node set in this environment' }],
        pointer,
      )
    // Nodes that were deleted since are in it still.
    saved.retainAll(await this.#everyone())
    return saved
  }

  #unknown(faults: readonly TargetFault[], pointer: string): NodeSet {
    for (const fault of faults) this.faults.push({ ...fault, pointer: `${pointer}${fault.pointer}` })
    return new NodeSet()
  }
}

function copyOf(set: NodeSet): NodeSet {
  const copy = new NodeSet()
  copy.addAll(set)
  return copy
}
