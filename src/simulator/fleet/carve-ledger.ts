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
  /** Its process died while it was under way: it may be there or not. */
  isExcused: boolean
}

export class CarveLedger {
  readonly #asked: AskedCarve[] = []
  readonly #forgivenAtMs = new Map<number, number>()
  #expectsUntilMs = Infinity
  readonly #packed = new Map<string, PackedCarve>()

  get asked(): readonly AskedCarve[] {
    return this.#asked
  }

  /** By GUID. */
  get packed(): ReadonlyMap<string, PackedCarve> {
    return this.#packed
  }

  ask(carve: Omit<AskedCarve, 'expected'> & { expected: Iterable<number> }): void {
    const expected = carve.askedAtMs > this.#expectsUntilMs ? [] : carve.expected
    this.#asked.push({ ...carve, expected: new Set(expected) })
  }

  /** Nobody had the time to hand in what was asked for later; that may still come in, from an operator who had to wait. */
  expectUntil(timeMs: number): void {
    this.#expectsUntilMs = timeMs
    for (const { askedAtMs, expected } of this.#asked) if (askedAtMs > timeMs) expected.clear()
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

  /** The machine's node was deleted: what was asked of that one is refused, or is there, as it happens. */
  forgive(machine: number, nowMs: number): void {
    this.excuse(machine)
    this.#forgivenAtMs.set(machine, nowMs)
  }

  /** Whether a carve may be missing at the server. */
  isExcused({ isExcused, machine, record }: PackedCarve): boolean {
    const asked = this.#asked.find(({ path }) => record.paths.includes(path))
    const forgivenAtMs = this.#forgivenAtMs.get(machine) ?? -Infinity
    return isExcused || (asked !== undefined && asked.askedAtMs <= forgivenAtMs)
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
