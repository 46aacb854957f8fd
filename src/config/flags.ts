/** Flags that agents take from the command line or flagfile only (spec section 7, "CLI"). */
export const COMMAND_LINE_FLAGS: ReadonlySet<string> = new Set([
  'carver_block_size',
  'carver_compression',
  'carver_continue_endpoint',
  'carver_disable_function',
  'carver_expiry',
  'carver_start_endpoint',
  'config_accelerated_refresh',
  'config_enable_backup',
  'config_plugin',
  'config_refresh',
  'config_tls_endpoint',
  'config_tls_max_attempts',
  'disable_carver',
  'disable_enrollment',
  'disable_reenrollment',
  'disable_watchdog',
  'enroll_always',
  'enroll_secret_env',
  'enroll_secret_path',
  'enroll_tls_endpoint',
  'logger_plugin',
  'proxy_hostname',
  'tls_accept_gzip',
  'tls_client_cert',
  'tls_client_key',
  'tls_enroll_max_attempts',
  'tls_enroll_max_interval',
  'tls_hostname',
  'tls_server_certs',
  'tls_session_reuse',
  'tls_session_timeout',
])

/**
 * Options that agents take from a configuration (spec sections 3.4 and 7, and osquery's flag reference). What is not
 * here is only warned of: agents of other versions may know more.
 */
export const KNOWN_OPTIONS: ReadonlySet<string> = new Set(
  `audit_allow_accept_socket_events audit_allow_apparmor_events audit_allow_config audit_allow_fim_events
  audit_allow_fork_process_events audit_allow_kill_process_events audit_allow_null_accept_socket_events
  audit_allow_process_events audit_allow_seccomp_events audit_allow_selinux_events audit_allow_sockets
  audit_allow_unix audit_allow_user_events audit_debug audit_force_reconfigure audit_force_unconfigure audit_persist
  augeas_lenses aws_access_key_id aws_debug aws_firehose_period aws_firehose_stream aws_kinesis_period
  aws_kinesis_random_partition_key aws_kinesis_stream aws_profile_name aws_region aws_secret_access_key
  aws_sts_arn_role aws_sts_region aws_sts_session_name aws_sts_timeout bpf_buffer_storage_size
  bpf_perf_event_array_exp buffered_log_max config_tls_accelerated_refresh config_tls_refresh darwin_ephemeral_port
  decorations_top_level decorators_top_level disable_audit disable_caching disable_database disable_decorators
  disable_distributed disable_endpointsecurity disable_endpointsecurity_fim disable_events disable_extensions
  disable_hash_cache disable_logging disable_memory disable_tables distributed_denylist_duration distributed_interval
  distributed_loginfo distributed_plugin distributed_tls_max_attempts distributed_tls_read_endpoint
  distributed_tls_write_endpoint dns_resolver_refresh_interval docker_socket enable_bpf_events enable_dns_lookup_events
  enable_extensions_watchdog enable_file_events enable_foreign enable_keyboard_events enable_mouse_events
  enable_ntfs_event_publisher enable_numeric_monitoring enable_powershell_events_subscriber enable_process_etw_events
  enable_syslog enable_tables enable_windows_events_publisher enable_windows_events_subscriber enable_yara_events
  enable_yara_string endpointsecurity_mute_path_literal endpointsecurity_mute_path_prefix ephemeral
  es_fim_enable_open_events es_fim_mute_path_literal es_fim_mute_path_prefix events_enforce_denylist events_expiry
  events_max events_optimize events_streaming_plugin extensions_default_index force hardware_disabled_types
  hash_cache_max hash_delay host_identifier ignore_registry_exceptions ignore_table_exceptions keychain_access_cache
  keychain_access_interval log_numerics_as_numbers logger_event_type logger_kafka_acks logger_kafka_brokers
  logger_kafka_compression logger_kafka_topic logger_min_status logger_min_stderr logger_mode logger_numerics
  logger_path logger_rotate logger_rotate_max_files logger_rotate_size logger_secondary_status_only
  logger_snapshot_event_type logger_status_sync logger_stderr logger_syslog_facility logger_syslog_prepend_cee
  logger_tls_backoff_max logger_tls_compress logger_tls_endpoint logger_tls_max logger_tls_max_linesize
  logger_tls_max_lines logger_tls_period malloc_trim_threshold nullvalue numeric_monitoring_filesystem_path
  numeric_monitoring_plugins numeric_monitoring_pre_aggregation_time pack_delimiter pack_refresh_interval read_max
  schedule_default_interval schedule_epoch schedule_lognames schedule_max_drift schedule_reload schedule_splay_percent
  schedule_timeout specified_identifier syslog_events_expiry syslog_events_max syslog_pipe_path syslog_rate_limit
  table_delay table_exceptions thrift_string_size_limit thrift_timeout thrift_verbose tls_disable_status_log tls_dump
  tls_enroll_override tls_node_api tls_secret_always tsk_fs_root usn_journal_reader_debug utc verbose
  windows_event_channels worker_threads yara_delay yara_sigurl_authenticate`.split(/\s+/),
)
