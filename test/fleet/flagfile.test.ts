import { expect, test } from 'vitest'

import { isFlagText, osqueryFlags } from '../../src/fleet/flagfile.ts'

const flags = osqueryFlags({
  tlsHostname: 'localhost:8443',
  certificatePath: '/x/.local/server.pem',
  enrollSecretPath: '/x/.local/enroll_secret',
  configRefreshS: 60,
  loggerPeriodS: 10,
  distributedIntervalS: 10,
})

test('an operator’s own flags replace those of the same name, in their place', () => {
  const own = osqueryFlags({
    tlsHostname: 'a',
    certificatePath: null,
    enrollSecretPath: '/s',
    configRefreshS: 300,
    loggerPeriodS: 300,
    distributedIntervalS: 60,
    flags: new Map<string, string | number | boolean>([
      ['watchdog_level', 1],
      ['config_refresh', 900],
    ]),
  })
  expect(own).toContain('--config_tls_endpoint=/api/osquery/config\n--config_refresh=900\n')
  expect(own.match(/config_refresh/g)).toHaveLength(1)
  expect(own.endsWith('--watchdog_level=1\n')).toBe(true)
  expect(own).not.toContain('tls_server_certs')
})

test.each(['a\nb', 'a\r', '\u0000', 'a\u007f'])('%j would be more than a line', (text) => {
  expect(isFlagText(text)).toBe(false)
})

test('each line is one flag: osqueryd knows no quotes, comments or expansion here (spec 7.1)', () => {
  for (const line of flags.trimEnd().split('\n')) expect(line).toMatch(/^--[a-z_]+=[^\s"'$]+$/)
  expect(flags.endsWith('\n')).toBe(true)
})

test.each([
  '--tls_hostname=localhost:8443',
  '--tls_server_certs=/x/.local/server.pem',
  '--enroll_secret_path=/x/.local/enroll_secret',
  '--host_identifier=uuid',
  '--enroll_tls_endpoint=/api/osquery/enroll',
  '--config_tls_endpoint=/api/osquery/config',
  '--config_refresh=60',
  '--logger_tls_endpoint=/api/osquery/log',
  '--logger_tls_period=10',
  '--disable_distributed=false',
  '--distributed_tls_read_endpoint=/api/osquery/distributed/read',
  '--distributed_tls_write_endpoint=/api/osquery/distributed/write',
  '--distributed_interval=10',
  '--disable_carver=false',
  '--carver_disable_function=false',
  '--carver_start_endpoint=/api/osquery/carve/begin',
  '--carver_continue_endpoint=/api/osquery/carve/block',
  '--carver_block_size=1048576',
])('%s', (flag) => {
  expect(flags.split('\n')).toContain(flag)
})
