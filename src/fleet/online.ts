/** When a node counts as online: seen within twice its distributed interval and a minute. Pure. */

/** osquery's default of `distributed_interval` (spec section 7). */
const DEFAULT_INTERVAL_S = 60
/** For what is on its way: presence is gathered for up to 15 s, and intervals are not exact. */
const GRACE_S = 60

/** The seconds after its last sign of life for which a node is online. `option` is as the configuration has it. */
export function onlineForS(option: string | number | null): number {
  return 2 * distributedIntervalS(option) + GRACE_S
}

/** The seconds between two distributed reads of a node that is not accelerated. */
export function distributedIntervalS(option: string | number | null): number {
  const interval = Number(option ?? DEFAULT_INTERVAL_S)
  return Number.isFinite(interval) && interval > 0 ? interval : DEFAULT_INTERVAL_S
}
