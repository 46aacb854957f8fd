/**
 * What osquery has where nothing is said, for options that a configuration may set and agents obey at once (spec section
 * 7, and osquery's flag reference). Sending these is the only way back for an agent that was told something else before:
 * options that are left out keep their last value until osqueryd restarts (spec 3.4).
 */

/** By name. Options whose default is an empty text are not here: agents skip an empty value. */
export const OPTION_DEFAULTS: ReadonlyMap<string, string | number | boolean> = new Map<
  string,
  string | number | boolean
>([
  ['buffered_log_max', 1_000_000],
  ['config_tls_accelerated_refresh', 300],
  ['decorations_top_level', false],
  ['disable_caching', false],
  ['disable_decorators', false],
  ['disable_hash_cache', false],
  ['distributed_denylist_duration', 86_400],
  ['distributed_interval', 60],
  ['distributed_loginfo', false],
  ['distributed_tls_max_attempts', 3],
  ['dns_resolver_refresh_interval', 60],
  ['events_expiry', 3_600],
  ['events_max', 50_000],
  ['events_optimize', true],
  ['hash_cache_max', 500],
  ['log_numerics_as_numbers', false],
  ['logger_event_type', true],
  ['logger_min_status', 0],
  ['logger_numerics', false],
  ['logger_snapshot_event_type', false],
  ['logger_tls_backoff_max', 3_600],
  ['logger_tls_compress', false],
  ['logger_tls_max', 1_048_576],
  ['logger_tls_max_lines', 1_024],
  ['logger_tls_max_linesize', 1_048_576],
  ['logger_tls_period', 4],
  ['pack_delimiter', '_'],
  ['pack_refresh_interval', 3_600],
  ['read_max', 52_428_800],
  ['schedule_default_interval', 3_600],
  ['schedule_epoch', 0],
  ['schedule_splay_percent', 10],
  ['schedule_timeout', 0],
  ['table_delay', 0],
  ['tls_disable_status_log', false],
  ['tls_dump', false],
  ['verbose', false],
])

/** Other names of one flag: whoever sets one has set the other (spec sections 3.4 and 7). */
export const OPTION_ALIASES: ReadonlyMap<string, string> = new Map([
  ['log_numerics_as_numbers', 'logger_numerics'],
  ['logger_tls_max', 'logger_tls_max_linesize'],
])

/** Why an option is never sent back to its default, where it is another reason than a default that is not known. */
export const LASTING_OPTIONS: ReadonlyMap<string, string> = new Map([
  ['config_tls_refresh', "osquery's default, 0, would end the agent's refreshes"],
  ...[
    'disable_distributed',
    'disable_logging',
    'distributed_plugin',
    'distributed_tls_read_endpoint',
    'distributed_tls_write_endpoint',
    'host_identifier',
    'logger_tls_endpoint',
    'specified_identifier',
    'tls_enroll_override',
    'tls_node_api',
    'tls_secret_always',
  ].map((name) => [name, 'agents read it when they start'] as const),
])

/** Keys that an agent keeps where they are left out, and that an empty object clears (spec 3.1). */
export const CLEARED_BY_EMPTY: readonly string[] = ['views', 'auto_table_construction']

/** Keys that an agent keeps, and that nothing clears (spec 3.1). */
export const LASTING_KEYS: readonly string[] = [
  'events',
  'feature_vectors',
  'kafka_topics',
  'logger',
  'prometheus_targets',
  'yara',
]
