/** Specification: which flagfile the walk calls complete. */

import { expect, it } from 'vitest'

import { osqueryFlags } from '../../../src/fleet/flagfile.ts'
import { endpointsOf, flagfileFaults, parseFlagfile } from '../../../src/cli/walk/flagfile.ts'
import { endpointsFor } from '../../../src/simulator/endpoints.ts'

const WRITTEN = osqueryFlags({
  tlsHostname: 'localhost:8443',
  certificatePath: '/a folder/server.pem',
  enrollSecretPath: '/a folder/enroll_secret',
  configRefreshS: 60,
  loggerPeriodS: 10,
  distributedIntervalS: 10,
})

it('the one that npm start writes is complete and names the canonical endpoints', () => {
  const flags = parseFlagfile(WRITTEN)
  expect(flagfileFaults(flags)).toEqual([])
  expect(flags.tls_server_certs).toBe('/a folder/server.pem')
  expect(endpointsOf(flags)).toEqual(endpointsFor('canonical'))
})

it.each(WRITTEN.trim().split('\n'))('without %s only convenience is lost, or it is found', (line) => {
  const name = line.slice(2, line.indexOf('='))
  const isConvenience = [
    'config_accelerated_refresh',
    'logger_tls_compress',
    'carver_disable_function',
  ].includes(name)
  const faults = flagfileFaults(parseFlagfile(WRITTEN.replace(`${line}\n`, '')))
  expect(faults).toHaveLength(isConvenience ? 0 : 1)
})

it('a value that was not promised is found', () => {
  const flags = parseFlagfile(WRITTEN.replace('config_refresh=60', 'config_refresh=0'))
  expect(flagfileFaults(flags)).toEqual(['--config_refresh is 0, not 60'])
})
