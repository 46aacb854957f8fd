/** The flagfile for an osqueryd: what it must know before it has a configuration. Pure. */

export type FlagValue = string | number | boolean

export interface FlagfileSettings {
  /** Host and port, without a scheme. */
  tlsHostname: string
  /** A path on the agent's machine; null: the authorities that osquery brings along. */
  certificatePath: string | null
  enrollSecretPath: string
  configRefreshS: number
  loggerPeriodS: number
  distributedIntervalS: number
  /** An operator's own: they replace those of the same name, and the rest follows in their order. */
  flags?: ReadonlyMap<string, FlagValue>
}

const ROUTES = '/api/osquery'

/**
 * One flag a line, without quotes: agents know none (spec 7.1). Only flags that every osquery from 4.x on knows are
 * added to an operator's: an unknown flag stops the daemon. No value may hold a line break; see `isFlagText`.
 */
export function osqueryFlags(settings: FlagfileSettings): string {
  const flags = new Map([...connectionFlags(settings), ...(settings.flags ?? [])])
  return [...flags].map(([name, value]) => `--${name}=${value}\n`).join('')
}

/** Whether a text can stand in a flagfile: what has a line break would be several flags. */
export function isFlagText(text: string): boolean {
  // oxlint-disable-next-line no-control-regex -- control characters are what is looked for
  return !/[\u0000-\u001f\u007f]/.test(text)
}

function connectionFlags(settings: FlagfileSettings): [string, FlagValue][] {
  const { tlsHostname, certificatePath, enrollSecretPath } = settings
  const certificates: [string, FlagValue][] =
    certificatePath === null ? [] : [['tls_server_certs', certificatePath]]
  return [
    ['tls_hostname', tlsHostname],
    ...certificates,
    ['host_identifier', 'uuid'],

    ['enroll_secret_path', enrollSecretPath],
    ['enroll_tls_endpoint', `${ROUTES}/enroll`],

    ['config_plugin', 'tls'],
    ['config_tls_endpoint', `${ROUTES}/config`],
    ['config_refresh', settings.configRefreshS],
    ['config_accelerated_refresh', Math.min(settings.configRefreshS, 30)],

    ['logger_plugin', 'tls'],
    ['logger_tls_endpoint', `${ROUTES}/log`],
    ['logger_tls_period', settings.loggerPeriodS],
    ['logger_tls_compress', true],

    ['disable_distributed', false],
    ['distributed_plugin', 'tls'],
    ['distributed_tls_read_endpoint', `${ROUTES}/distributed/read`],
    ['distributed_tls_write_endpoint', `${ROUTES}/distributed/write`],
    ['distributed_interval', settings.distributedIntervalS],

    ['disable_carver', false],
    ['carver_disable_function', false],
    ['carver_start_endpoint', `${ROUTES}/carve/begin`],
    ['carver_continue_endpoint', `${ROUTES}/carve/block`],
    ['carver_block_size', 1_048_576],
  ]
}
