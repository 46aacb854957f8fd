/**
 * Which log lines were sent, which acknowledged, and which were found again. Keeps 64 bits of each line's SHA-256 and a few
 * numbers, never the line: some 30 bytes for each.
 *
 * The server's promise is per event, not per line: identical lines of one POST are different events, while a line that
 * comes again in a later POST is the same event sent again (specification 4.5). So a line is due as often as it was in
 * the one acknowledged POST that held it most often, and may be there as often as in the one sent POST that did.
 */
import { hash } from 'node:crypto'
import type { LineKind, LogBatch } from '../log-buffer.ts'

const FIRST_CAPACITY = 1 << 16
const MAX_FILL = 0.7

/** How a line that was read stands to what was sent. */
export type Sighting = 'expected' | 'unexplained' | 'doubled' | 'wrong-node'

/** What the ledger knows at the end. */
export interface LineTally {
  readonly distinct: number
  /** Events that must be there, and how many of them were not seen. */
  readonly due: number
  readonly missing: number
}

interface Digest {
  readonly high: number
  readonly low: number
}

export class LineLedger {
  #capacity = FIRST_CAPACITY
  #size = 0
  #high = new Uint32Array(FIRST_CAPACITY)
  #low = new Uint32Array(FIRST_CAPACITY)
  /** Machine + 1; 0 marks a free place. */
  #owner = new Uint32Array(FIRST_CAPACITY)
  #sent = new Uint8Array(FIRST_CAPACITY)
  #due = new Uint8Array(FIRST_CAPACITY)
  #seen = new Uint8Array(FIRST_CAPACITY)
  readonly #digests = new WeakMap<LogBatch, readonly Digest[]>()

  /** Notes the lines of a POST of that machine. */
  note(stage: 'sent' | 'acknowledged', batch: LogBatch, machine: number): void {
    const digests = this.#digests.get(batch) ?? batch.lines.map(({ text }) => digestOf(batch.kind, text))
    this.#digests.set(batch, digests)
    // First, because places move when it grows.
    this.#reserve(digests.length)
    const times = new Map<number, number>()
    for (const digest of digests) {
      const place = this.#placeFor(digest, machine)
      times.set(place, (times.get(place) ?? 0) + 1)
    }
    const column = stage === 'sent' ? this.#sent : this.#due
    for (const [place, count] of times) column[place] = Math.min(255, Math.max(column[place] ?? 0, count))
  }

  /**
   * Notes a line that the server gave back. `machine` is whose it should be, if that is known. `nodes`: how many nodes
   * that machine has been; a line that was sent again after its node was deleted is an event of each.
   */
  see(kind: LineKind, text: string | Uint8Array, machine: number | undefined, nodes = 1): Sighting {
    const place = this.#find(digestOf(kind, text))
    const owner = this.#owner[place] ?? 0
    if (owner === 0) return 'unexplained'
    const seen = (this.#seen[place] ?? 0) + 1
    this.#seen[place] = Math.min(255, seen)
    if (machine !== undefined && owner !== machine + 1) return 'wrong-node'
    return seen > (this.#sent[place] ?? 0) * Math.max(1, nodes) ? 'doubled' : 'expected'
  }

  /** The machine that sent a line; undefined for a line that nobody sent. */
  machineOf(kind: LineKind, text: string | Uint8Array): number | undefined {
    const owner = this.#owner[this.#find(digestOf(kind, text))] ?? 0
    return owner === 0 ? undefined : owner - 1
  }

  /** Forgets what was seen, for reading once more. */
  unsee(): void {
    this.#seen.fill(0)
  }

  tally(): LineTally {
    let [due, missing] = [0, 0]
    for (let place = 0; place < this.#capacity; place += 1) {
      due += this.#due[place] ?? 0
      missing += Math.max(0, (this.#due[place] ?? 0) - (this.#seen[place] ?? 0))
    }
    return { distinct: this.#size, due, missing }
  }

  /** How many due lines of each machine were not seen; machines without any are left out. */
  missingByMachine(): Map<number, number> {
    const missing = new Map<number, number>()
    for (let place = 0; place < this.#capacity; place += 1) {
      const count = (this.#due[place] ?? 0) - (this.#seen[place] ?? 0)
      const machine = (this.#owner[place] ?? 0) - 1
      if (count > 0) missing.set(machine, (missing.get(machine) ?? 0) + count)
    }
    return missing
  }

  #placeFor(digest: Digest, machine: number): number {
    const place = this.#find(digest)
    if (this.#owner[place] === 0) {
      this.#high[place] = digest.high
      this.#low[place] = digest.low
      this.#owner[place] = machine + 1
      this.#size += 1
    }
    return place
  }

  // The place of a digest, or the free place where it belongs.
  #find({ high, low }: Digest): number {
    let place = low % this.#capacity
    while (this.#owner[place] !== 0 && (this.#high[place] !== high || this.#low[place] !== low))
      place = (place + 1) % this.#capacity
    return place
  }

  #reserve(lines: number): void {
    while (this.#size + lines > this.#capacity * MAX_FILL) this.#grow()
  }

  #grow(): void {
    const before = { capacity: this.#capacity, high: this.#high, low: this.#low, owner: this.#owner }
    const columns = { sent: this.#sent, due: this.#due, seen: this.#seen }
    this.#capacity *= 2
    this.#high = new Uint32Array(this.#capacity)
    this.#low = new Uint32Array(this.#capacity)
    this.#owner = new Uint32Array(this.#capacity)
    this.#sent = new Uint8Array(this.#capacity)
    this.#due = new Uint8Array(this.#capacity)
    this.#seen = new Uint8Array(this.#capacity)
    for (let from = 0; from < before.capacity; from += 1) {
      const owner = before.owner[from] ?? 0
      if (owner === 0) continue
      const [high, low] = [before.high[from] ?? 0, before.low[from] ?? 0]
      const to = this.#find({ high, low })
      this.#high[to] = high
      this.#low[to] = low
      this.#owner[to] = owner
      this.#sent[to] = columns.sent[from] ?? 0
      this.#due[to] = columns.due[from] ?? 0
      this.#seen[to] = columns.seen[from] ?? 0
    }
  }
}

function digestOf(kind: LineKind, text: string | Uint8Array): Digest {
  const digest = hash('sha256', text, 'buffer')
  // The kind is part of the event, so it is part of the digest.
  const high = kind === 'status' ? digest.readUInt32BE(0) : ~digest.readUInt32BE(0) >>> 0
  return { high, low: digest.readUInt32BE(4) }
}
