/** The rows that agents answer with, each one of its kind, and what became of them. Pure. */

/** Every row says whose it is and which of its answer, so that none can be lost or doubled unseen. */
export interface BenchRow {
  host: string
  k: string
  name: string
  state: string
}

/** Values of `name`: what group-by finds. */
export const NAMES = 17

export function rowsOfNode(ordinal: number, count: number): BenchRow[] {
  return Array.from({ length: count }, (_, k) => ({
    host: String(ordinal),
    k: String(k),
    name: `process-${(ordinal + k) % NAMES}`,
    state: 'S',
  }))
}

export interface Verdict {
  rows: number
  lost: number
  doubled: number
  /** Of nodes that were not asked, or under the id of another node. */
  foreign: number
}

/** Counts each row of each node that should be there. */
export class RowLedger {
  readonly #ordinals: ReadonlyMap<string, number>
  readonly #seen: Uint8Array
  readonly #rowsPerNode: number
  #rows = 0
  #doubled = 0
  #foreign = 0

  /** `nodes` have the ordinals from 0 on. */
  constructor(nodes: readonly { nodeId: string; ordinal: number }[], rowsPerNode: number) {
    this.#ordinals = new Map(nodes.map(({ nodeId, ordinal }) => [nodeId, ordinal]))
    this.#rowsPerNode = rowsPerNode
    this.#seen = new Uint8Array(nodes.length * rowsPerNode)
  }

  note(nodeId: string, { host, k }: Pick<BenchRow, 'host' | 'k'>): void {
    this.#rows += 1
    const ordinal = this.#ordinals.get(nodeId)
    if (ordinal === undefined || host !== String(ordinal) || Number(k) >= this.#rowsPerNode) {
      this.#foreign += 1
      return
    }
    const at = ordinal * this.#rowsPerNode + Number(k)
    if (this.#seen[at] === 1) this.#doubled += 1
    this.#seen[at] = 1
  }

  verdict(): Verdict {
    let lost = 0
    for (const seen of this.#seen) if (seen === 0) lost += 1
    return { rows: this.#rows, lost, doubled: this.#doubled, foreign: this.#foreign }
  }
}

/** How many lines of the first list are not in the second, each as often as it is there. */
export function missingFrom(wanted: readonly string[], there: readonly string[]): number {
  const left = new Map<string, number>()
  for (const line of there) left.set(line, (left.get(line) ?? 0) + 1)
  let missing = 0
  for (const line of wanted) {
    const count = left.get(line) ?? 0
    if (count === 0) missing += 1
    else left.set(line, count - 1)
  }
  return missing
}
