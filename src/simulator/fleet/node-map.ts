/** Which of the server's nodes is which machine of the fleet, as lines and answers tell. */
export class NodeMap {
  readonly #machines = new Map<string, number>()
  readonly #nodes = new Map<number, string>()

  machineOf(nodeId: string): number | undefined {
    return this.#machines.get(nodeId)
  }

  nodeOf(machine: number): string | undefined {
    return this.#nodes.get(machine)
  }

  /** Ids of the nodes that are known. */
  get ids(): Iterable<string> {
    return this.#machines.keys()
  }

  /** Notes that a node showed what only this machine has. False: one of the two is known as something else. */
  bind(nodeId: string, machine: number): boolean {
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
