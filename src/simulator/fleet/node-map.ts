import type { SplitNodes } from './split-nodes.ts'

/**
 * Which of the server's nodes is which machine of the fleet, as lines and answers tell. A machine is one node, but for
 * those whose node the operator deleted: they enroll anew and are another node from then on; and for clones, of which the
 * server makes several: they are taken for the one that they came from.
 */
export class NodeMap {
  readonly #machines = new Map<string, number>()
  readonly #nodes = new Map<number, string>()
  readonly #removed: ReadonlyMap<string, number>
  #splits: SplitNodes = new Map()

  /** `removed`: the machines of the nodes that were deleted while the fleet ran. */
  constructor(removed: ReadonlyMap<string, number> = new Map()) {
    this.#removed = removed
  }

  /** What was split by now. */
  know(splits: SplitNodes): void {
    this.#splits = splits
  }

  /** The node that this one came from; mostly itself. */
  originOf(nodeId: string): string {
    return this.#splits.get(nodeId) ?? nodeId
  }

  machineOf(id: string): number | undefined {
    const nodeId = this.originOf(id)
    return this.#machines.get(nodeId) ?? this.#removed.get(nodeId)
  }

  /** The node that a machine is now, as far as it has shown itself. */
  nodeOf(machine: number): string | undefined {
    return this.#nodes.get(machine)
  }

  /** All nodes that a machine has been. */
  nodesOf(machine: number): string[] {
    const now = this.#nodes.get(machine)
    const before = [...this.#removed].flatMap(([id, removed]) => (removed === machine ? [id] : []))
    const known = now === undefined ? before : [...before, now]
    const split = [...this.#splits].flatMap(([id, origin]) => (known.includes(origin) ? [id] : []))
    return [...known, ...split]
  }

  /** Whether a node was deleted while the fleet ran. */
  isRemoved(nodeId: string): boolean {
    return this.#removed.has(nodeId)
  }

  /** Ids of the nodes that are known and were not deleted. */
  get ids(): Iterable<string> {
    return this.#machines.keys()
  }

  /** Notes that a node showed what only this machine has. False: one of the two is known as something else. */
  bind(id: string, machine: number): boolean {
    const nodeId = this.originOf(id)
    const removed = this.#removed.get(nodeId)
    if (removed !== undefined) return removed === machine
    const knownMachine = this.#machines.get(nodeId)
    const knownNode = this.#nodes.get(machine)
    if (knownMachine === undefined && knownNode === undefined) {
      this.#machines.set(nodeId, machine)
      this.#nodes.set(machine, nodeId)
      return true
    }
    return knownMachine === machine && knownNode === nodeId
  }
}
