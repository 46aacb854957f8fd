/** What can be broken inside of the Worker, as plain data: the plan writes it, the chaos entry obeys it. No I/O, no imports. */

/** `object:<class>` is a Durable Object class; `consumer` is the queue handler as a whole. */
export type FaultTarget = 'd1' | 'r2' | 'queue' | 'consumer' | `object:${string}`

/**
 * `fail`: refused before anything was done. `lost`: done, and the caller told that it failed. `slow`: done after some
 * seconds. `locked`: SQLite's answer to a busy database. `throw`: the object throws, before or after its work. `evict`: the
 * object loses its memory, before or after. `overloaded`: refused by the platform, with its flags.
 */
export type FaultMode = 'fail' | 'lost' | 'slow' | 'locked' | 'throw' | 'evict' | 'overloaded'

export interface Fault {
  readonly target: FaultTarget
  readonly mode: FaultMode
  /** Of the calls, 0 … 1. */
  readonly share: number
}

/** Defects that prove the verifier. They are planted in the chaos entry alone; `src/` has none of this. */
export const SABOTAGES = [
  'ack-first',
  'drop-line',
  'double-line',
  'empty-500',
  'node-invalid-on-outage',
  'reuse-ordinal',
] as const
export type Sabotage = (typeof SABOTAGES)[number]

/** Whom a defect hits: those who come in by this port, and what belongs to this environment. */
export interface PlantedDefect {
  readonly sabotage: Sabotage
  readonly port: number
  readonly environmentId: string
}

/** Everything that the entry is told. */
export interface ChaosState {
  /** Added to the Worker's clock. */
  readonly clockMs: number
  readonly faults: readonly Fault[]
  readonly defects: readonly PlantedDefect[]
}

export const NO_CHAOS: ChaosState = { clockMs: 0, faults: [], defects: [] }

/** How a fault is named in plans and tables. */
export function faultName({ target, mode }: Pick<Fault, 'target' | 'mode'>): string {
  return `${target} ${mode}`
}
