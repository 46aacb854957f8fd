/**
 * Whether lines under one key come from two machines: the names that hosts give themselves in them, in the order in
 * which the lines were written. Pure.
 *
 * Sound is only what goes back. A host that was renamed, or has a new name with each start (`ephemeral`), never returns
 * to a name; a laptop whose name follows its network may, now and then. Two machines do so with every other POST. What
 * is no sign at all: addresses (dual stack, proxies, mobile networks) and versions (an update that is rolled back).
 */

/** Times that a name came back within the window, until it must be two machines. */
const RETURNS = 5
const WINDOW_S = 3_600
/** Names of one key that are kept: of more machines than that some turn out to be two all the same. */
const MAX_NAMES = 8

export interface HostUse {
  /** The newest last. */
  names: readonly string[]
  returns: number
  sinceS: number
  /** When the newest line was written, by its host's clock. */
  atS: number
}

/** Notes who wrote a line, and when. `before` null: nobody did yet. */
export function noteHostUse(before: HostUse | null, name: string, atS: number): HostUse {
  if (before === null) return { names: [name], returns: 0, sinceS: atS, atS }
  // Lines that waited in an agent's buffer come late: they say nothing about the order.
  if (atS < before.atS) return before
  if (before.names.at(-1) === name) return { ...before, atS }
  const isReturn = before.names.includes(name)
  const names = [...before.names.filter((known) => known !== name), name].slice(-MAX_NAMES)
  const isOver = atS - before.sinceS > WINDOW_S
  const returns = (isOver ? 0 : before.returns) + (isReturn ? 1 : 0)
  return { names, returns, sinceS: isOver ? atS : before.sinceS, atS }
}

/** Two names of machines that write under one key; null as long as it may be one machine. */
export function twoHostsOf({ names, returns }: HostUse): readonly [string, string] | null {
  const [newest, other] = [names.at(-1), names.at(-2)]
  return returns < RETURNS || newest === undefined || other === undefined ? null : [other, newest]
}
