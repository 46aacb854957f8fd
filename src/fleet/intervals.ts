/**
 * How often agents come: the three options that decide what a fleet costs and how soon it answers, in seconds. Pure.
 */

/**
 * As agents know them. `config_tls_refresh` is the alias of `config_refresh`: the flag itself is taken from the command
 * line only, its alias from a configuration, too, by agents that were started with a refresh (spec 3.4).
 */
export const MANAGED_OPTIONS = ['config_tls_refresh', 'distributed_interval', 'logger_tls_period'] as const
export type ManagedOption = (typeof MANAGED_OPTIONS)[number]

/** Seconds by option. What is missing is not said. */
export type IntervalSettings = Readonly<Partial<Record<ManagedOption, number>>>
export type WholeIntervals = Readonly<Record<ManagedOption, number>>

/** What the flagfile in the README says, and what an environment that says nothing is taken to have. */
export const RECOMMENDED_INTERVALS: WholeIntervals = {
  config_tls_refresh: 300,
  distributed_interval: 60,
  logger_tls_period: 300,
}

/** An accelerated agent polls each 5 s (spec 2.4): nobody needs less for ever. */
export const SHORTEST_INTERVAL_S = 5
/** An agent that is told to refresh once a day can be told something else once a day. */
export const LONGEST_INTERVAL_S = 86_400

/** What takes most room in a document. */
export const LONGEST_INTERVALS: WholeIntervals = {
  config_tls_refresh: LONGEST_INTERVAL_S,
  distributed_interval: LONGEST_INTERVAL_S,
  logger_tls_period: LONGEST_INTERVAL_S,
}

export function isManagedOption(name: string): name is ManagedOption {
  return MANAGED_OPTIONS.some((known) => known === name)
}

export function isIntervalSeconds(value: unknown): value is number {
  return (
    Number.isInteger(value) && Number(value) >= SHORTEST_INTERVAL_S && Number(value) <= LONGEST_INTERVAL_S
  )
}

/** An interval so many times as long, where that is still within a day; a longer one stays as it is. */
export function lengthened(seconds: number, factor: number): number {
  return Math.max(seconds, Math.min(Math.round(seconds * factor), LONGEST_INTERVAL_S))
}
