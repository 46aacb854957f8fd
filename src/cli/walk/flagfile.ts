/** Reads the flagfile that `npm start` wrote, as an osqueryd would. */

import type { Endpoints } from '../../simulator/endpoints.ts'

/** Flags without which a local osqueryd would leave out a part of the product, and the values that were promised. */
const PROMISED: Readonly<Record<string, string>> = {
  host_identifier: 'uuid',
  config_plugin: 'tls',
  config_refresh: '60',
  logger_plugin: 'tls',
  logger_tls_period: '10',
  disable_distributed: 'false',
  distributed_plugin: 'tls',
  distributed_interval: '10',
  disable_carver: 'false',
  carver_block_size: '1048576',
}
const PRESENT = ['tls_hostname', 'tls_server_certs', 'enroll_secret_path']

const ENDPOINT_FLAGS: Readonly<Record<keyof Endpoints, string>> = {
  enroll: 'enroll_tls_endpoint',
  config: 'config_tls_endpoint',
  log: 'logger_tls_endpoint',
  read: 'distributed_tls_read_endpoint',
  write: 'distributed_tls_write_endpoint',
  carveStart: 'carver_start_endpoint',
  carveBlock: 'carver_continue_endpoint',
}

/** Flags by name: one `--name=value` a line. */
export function parseFlagfile(text: string): Record<string, string> {
  const flags = text.matchAll(/^--(\w+)=(.*)$/gm)
  return Object.fromEntries([...flags].map(([, name = '', value = '']) => [name, value]))
}

/** What is missing or not as promised, in words; empty where the flagfile is complete. */
export function flagfileFaults(flags: Readonly<Record<string, string>>): string[] {
  const absent = [...PRESENT, ...Object.values(ENDPOINT_FLAGS)].filter((name) => !flags[name])
  const different = Object.entries(PROMISED).filter(([name, value]) => flags[name] !== value)
  return [
    ...absent.map((name) => `--${name} is missing`),
    ...different.map(([name, value]) => `--${name} is ${flags[name] ?? 'missing'}, not ${value}`),
  ]
}

/** The endpoints that the flags name. */
export function endpointsOf(flags: Readonly<Record<string, string>>): Endpoints {
  const { enroll, config, log, read, write, carveStart, carveBlock } = ENDPOINT_FLAGS
  const path = (name: string): string => flags[name] ?? ''
  return {
    enroll: path(enroll),
    config: path(config),
    log: path(log),
    read: path(read),
    write: path(write),
    carveStart: path(carveStart),
    carveBlock: path(carveBlock),
  }
}
