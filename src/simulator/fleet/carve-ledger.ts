/** Which carves the fleet's operator asked for, and what each machine packed and handed in. */
import { createHash } from 'node:crypto'
import type { CarveRecord, CarvedFile } from '../carve.ts'

/** A carve that the fleet's operator asked for. */
export interface AskedCarve {
  readonly queryId: string
  readonly path: string
  readonly askedAtMs: number
  /** Machines that were online then and should hand it in; those that went away since are taken out. */
  readonly expected: Set<number>
}

/** One machine's carve. */
export interface PackedCarve {
  readonly machine: number
  readonly record: Readonly<CarveRecord>
  /** Its node was deleted, or its process died, while it was under way: it may be there or not. */
  isExcused: boolean
}

export class CarveLedger {
  readonly #asked: AskedCarve[] = []
  readonly #packed = new Map<string, PackedCarve>()

  get asked(): readonly AskedCarve[] {
    return this.#asked
  }

  /** By GUID. */
  get packed(): ReadonlyMap<string, PackedCarve> {
    return this.#packed
  }

  ask(carve: Omit<AskedCarve, 'expected'> & { expected: Iterable<number> }): void {
    this.#asked.push({ ...carve, expected: new Set(carve.expected) })
  }

  /** Notes a carve of a machine: once packed, and again when it has ended. */
  note(record: Readonly<CarveRecord>, machine: number): void {
    const isExcused = this.#packed.get(record.guid)?.isExcused ?? false
    this.#packed.set(record.guid, { machine, record: { ...record }, isExcused })
  }

  /** The machine went away: it owes no carve that has not been handed in. */
  excuse(machine: number): void {
    for (const { expected, path } of this.#asked) if (!this.#hasEnded(machine, path)) expected.delete(machine)
    for (const packed of this.#packed.values())
      if (packed.machine === machine && packed.record.status === 'PENDING') packed.isExcused = true
  }

  #hasEnded(machine: number, path: string): boolean {
    for (const { machine: whose, record } of this.#packed.values())
      if (whose === machine && record.paths.includes(path) && record.status === 'SUCCESS') return true
    return false
  }
}

const MIN_FILE_BYTES = 10_000
const FILE_BYTES_RANGE = 150_000

/** What lies under any path on a made-up machine: some blocks of bytes that follow from seed and path alone. */
export function madeUpFile(machineSeed: string, path: string): CarvedFile {
  const seed = `${machineSeed}\n${path}`
  const size =
    MIN_FILE_BYTES + (createHash('sha256').update(seed).digest().readUInt32BE(0) % FILE_BYTES_RANGE)
  const content = createHash('shake256', { outputLength: size }).update(seed).digest()
  return { content, mode: 0o644, atimeMs: 1_700_000_000_000, mtimeMs: 1_700_000_000_000 }
}
