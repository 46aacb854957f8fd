import { expect, test } from 'vitest'

import { osqueryFlags } from '../../src/cli/start/flagfile.ts'

const flags = osqueryFlags({
  tlsHostname: 'localhost:8443',
  certificatePath: '/x/.local/server.pem',
  enrollSecretPath: '/x/.local/enroll_secret',
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
