/** Which node an enrolling agent is (design 4, Enroll). Pure. */

import { platformFamilyOf, type PlatformFamily } from './platform.ts'

/** Tables as enroll brings them: the first row of each, all values texts (spec 2.1). */
export type HostDetails = Record<string, Record<string, string>>

export interface EnrollingHost {
  /** Says which node it is inside its environment: `uuid:…`, `serial:…`, `instance:…` or `host:…`. */
  identity: string
  hostname: string
  /** As osquery names it: `ubuntu`, `darwin`, `windows`, …; `unknown` from agents that do not tell. */
  platform: string
  platformFamily: PlatformFamily
  osqueryVersion: string
  hostIdentifier: string
  hardwareUuid: string
  hardwareSerial: string
  instanceId: string
  hostDetails: HostDetails
}

/** UUIDs that firmware vendors leave in place: osquery itself refuses these since 3.2.5 (spec 2.1.1). */
const PLACEHOLDER_UUIDS = new Set([
  '00000000-0000-0000-0000-000000000000',
  'ffffffff-ffff-ffff-ffff-ffffffffffff',
  '03000200-0400-0500-0006-000700080009',
  '03020100-0504-0706-0809-0a0b0c0d0e0f',
  '10000000-0000-8000-0040-000000000000',
])

/** Serials that firmware vendors leave in place, lower case. */
const PLACEHOLDER_SERIALS = new Set([
  '',
  '-1',
  '0',
  'none',
  'n/a',
  'default string',
  'not specified',
  'not applicable',
  'system serial number',
  'to be filled by o.e.m.',
])

/** Reads an enroll request's members. `platformType` is a bitmask in digits, as sent. */
export function describeHost(
  hostIdentifier: string,
  platformType: string,
  details: HostDetails,
): EnrollingHost {
  const { os_version: os = {}, osquery_info: osquery = {}, system_info: system = {} } = details
  const hardwareUuid = (system['uuid'] ?? osquery['uuid'] ?? '').trim().toLowerCase()
  const hardwareSerial = (system['hardware_serial'] ?? '').trim()
  const instanceId = (osquery['instance_id'] ?? '').trim()
  const names = [os['platform'] ?? '', osquery['build_platform'] ?? '']
  const platformFamily = platformFamilyOf(platformType, names)
  return {
    identity: identityOf({ hardwareUuid, hardwareSerial, instanceId, hostIdentifier }),
    hostname: firstOf(system['hostname'], system['computer_name'], system['local_hostname'], hostIdentifier),
    platform: firstOf(...names, platformFamily),
    platformFamily,
    osqueryVersion: osquery['version'] ?? '',
    hostIdentifier,
    hardwareUuid,
    hardwareSerial,
    instanceId,
    hostDetails: details,
  }
}

function identityOf(host: {
  hardwareUuid: string
  hardwareSerial: string
  instanceId: string
  hostIdentifier: string
}): string {
  // Platforms write UUIDs in different cases (spec 2.1.1).
  if (host.hardwareUuid !== '' && !PLACEHOLDER_UUIDS.has(host.hardwareUuid))
    return `uuid:${host.hardwareUuid}`
  if (!PLACEHOLDER_SERIALS.has(host.hardwareSerial.toLowerCase())) return `serial:${host.hardwareSerial}`
  if (host.instanceId !== '') return `instance:${host.instanceId}`
  return `host:${host.hostIdentifier}`
}

function firstOf(...texts: (string | undefined)[]): string {
  return texts.find((text) => text !== undefined && text !== '') ?? ''
}

/** The host_details of a request: tables of texts, unknown ones kept, NULs stripped (real agents pad with them). */
export function readHostDetails(value: unknown): HostDetails {
  if (typeof value !== 'object' || value === null) return {}
  // Built from entries: a table that is named `__proto__` is a table too.
  const tables = Object.entries(value).flatMap(([table, row]: [string, unknown]) => {
    if (typeof row !== 'object' || row === null) return []
    const columns = Object.entries(row).map(([name, text]: [string, unknown]) => [
      withoutNuls(name),
      withoutNuls(typeof text === 'string' ? text : JSON.stringify(text)),
    ])
    return [[withoutNuls(table), Object.fromEntries(columns) as Record<string, string>]]
  })
  return Object.fromEntries(tables) as HostDetails
}

/** NUL ends texts in SQLite's C interface and upsets most destinations of logs. */
export function withoutNuls(text: string): string {
  return text.replaceAll('\0', '')
}
