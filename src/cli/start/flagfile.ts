/** The flagfile for an osqueryd on this machine. */

export interface FlagfileSettings {
  /** Host and port, without a scheme. */
  tlsHostname: string
  certificatePath: string
  enrollSecretPath: string
}

const ROUTES = '/api/osquery'

/** Only flags that every osquery from 4.x on knows: an unknown flag stops the daemon. */
export function osqueryFlags({ tlsHostname, certificatePath, enrollSecretPath }: FlagfileSettings): string {
  const flags: [string, string | number | boolean][] = [
    ['tls_hostname', tlsHostname],
    ['tls_server_certs', certificatePath],
    ['host_identifier', 'uuid'],

    ['enroll_secret_path', enrollSecretPath],
    ['enroll_tls_endpoint', `${ROUTES}/enroll`],

    ['config_plugin', 'tls'],
    ['config_tls_endpoint', `${ROUTES}/config`],
    ['config_refresh', 60],
    ['config_accelerated_refresh', 30],

    ['logger_plugin', 'tls'],
    ['logger_tls_endpoint', `${ROUTES}/log`],
    ['logger_tls_period', 10],
    ['logger_tls_compress', true],

    ['disable_distributed', false],
    ['distributed_plugin', 'tls'],
    ['distributed_tls_read_endpoint', `${ROUTES}/distributed/read`],
    ['distributed_tls_write_endpoint', `${ROUTES}/distributed/write`],
    ['distributed_interval', 10],

    ['disable_carver', false],
    ['carver_disable_function', false],
    ['carver_start_endpoint', `${ROUTES}/carve/begin`],
    ['carver_continue_endpoint', `${ROUTES}/carve/block`],
    ['carver_block_size', 1_048_576],
  ]
  return flags.map(([name, value]) => `--${name}=${value}\n`).join('')
}
