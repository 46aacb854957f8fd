/** The flags that an agent obeys, from its command line and from `options` in the configuration. */
import type { JsonObject } from './json.ts'
import { isJsonObject } from './json.ts'

/** Flag values as text, the way gflags hold them. */
export type Flags = Readonly<Record<string, string>>

/**
 * Flags of a simulated agent as a sensible flagfile would set them. osqueryd's own defaults differ in
 * `config_refresh` (0, never) and `carver_block_size` (8192).
 */
export const DEFAULT_FLAGS: Flags = {
  tls_enroll_max_attempts: '12',
  tls_enroll_max_interval: '600',
  config_tls_max_attempts: '3',
  distributed_tls_max_attempts: '3',
  config_refresh: '300',
  config_accelerated_refresh: '300',
  distributed_interval: '60',
  logger_tls_period: '4',
  logger_tls_max_lines: '1024',
  logger_tls_max_linesize: '1048576',
  logger_tls_backoff_max: '3600',
  logger_tls_compress: 'false',
  buffered_log_max: '1000000',
  tls_accept_gzip: 'false',
  disable_reenrollment: 'false',
  enroll_always: 'false',
  distributed_denylist_duration: '86400',
  logger_event_type: 'true',
  logger_snapshot_event_type: 'false',
  logger_min_status: '0',
  tls_disable_status_log: 'false',
  decorations_top_level: 'false',
  disable_decorators: 'false',
  schedule_epoch: '0',
  schedule_splay_percent: '10',
  schedule_default_interval: '3600',
  pack_delimiter: '_',
  carver_block_size: '1048576',
  carver_compression: 'false',
}

/** Aliases that a configuration may set although the flag behind them is for the command line only (3.4). */
const ALIASES: Flags = {
  config_tls_refresh: 'config_refresh',
  config_tls_accelerated_refresh: 'config_accelerated_refresh',
  logger_tls_max: 'logger_tls_max_linesize',
}

const COMMAND_LINE_ONLY = new Set([
  'config_refresh',
  'config_accelerated_refresh',
  'config_tls_max_attempts',
  'tls_enroll_max_attempts',
  'tls_enroll_max_interval',
  'carver_block_size',
  'carver_compression',
  'tls_accept_gzip',
  'disable_reenrollment',
  'enroll_always',
])

/** What became of a configuration's options. */
export interface AppliedOptions {
  readonly flags: Flags
  /** Options that osqueryd ignores with a warning: command line only. */
  readonly ignored: readonly string[]
}

/** Merges a configuration's `options` into the flags. An option that is gone later keeps its value, as in osqueryd. */
export function applyOptions(flags: Flags, config: JsonObject): AppliedOptions {
  const merged: Record<string, string> = { ...flags }
  const ignored: string[] = []
  const options = isJsonObject(config.options) ? config.options : {}
  for (const [name, value] of Object.entries(options)) {
    const text = typeof value === 'string' ? value : JSON.stringify(value)
    if (COMMAND_LINE_ONLY.has(name)) ignored.push(name)
    // Without a refresh at start there is no refresh thread, so that the alias changes nothing.
    else if (name === 'config_tls_refresh' && flags.config_refresh === '0') ignored.push(name)
    else if (text !== '') merged[ALIASES[name] ?? name] = text
  }
  return { flags: merged, ignored }
}

/** A flag as a whole number; its default, then 0, if it is none. */
export function numberFlag(flags: Flags, name: string): number {
  const value = Number.parseInt(flags[name] ?? '', 10)
  return Number.isNaN(value) ? Number.parseInt(DEFAULT_FLAGS[name] ?? '0', 10) : value
}

/** A flag as gflags reads a boolean. */
export function booleanFlag(flags: Flags, name: string): boolean {
  return ['true', 't', '1', 'yes', 'y'].includes((flags[name] ?? '').toLowerCase())
}
