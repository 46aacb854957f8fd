/** Which node an enrolling agent is (design 4, Enroll). Pure. */

import { DEFAULT_POLICY, identitiesOf, type IdentityPolicy } from './identity-policy.ts'
import { platformFamilyOf, type PlatformFamily } from './platform.ts'

/** Tables as enroll brings them: the first row of each, all values texts (spec 2.1). */
export type HostDetails = Record<string, Record<string, string>>

export interface EnrollingHost {
  /** Says which node it is inside its environment: `uuid:…`, `serial:…`, `instance:…` or `host:…`. */
  identity: string
  /** What it would be under other policies: how a node of before a policy was changed is found again. */
  otherIdentities: readonly string[]
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

/** Reads an enroll request's members under an environment's policy. `platformType` is a bitmask in digits, as sent. */
export function describeHost(
  hostIdentifier: string,
  platformType: string,
  details: HostDetails,
  policy: IdentityPolicy = DEFAULT_POLICY,
): EnrollingHost {
  const { os_version: os = {}, osquery_info: osquery = {}, system_info: system = {} } = details
  // Platforms write UUIDs in different cases (spec 2.1.1).
  const hardwareUuid = (system['uuid'] ?? osquery['uuid'] ?? '').trim().toLowerCase()
  const hardwareSerial = (system['hardware_serial'] ?? '').trim()
  const instanceId = (osquery['instance_id'] ?? '').trim()
  const names = [os['platform'] ?? '', osquery['build_platform'] ?? '']
  const platformFamily = platformFamilyOf(platformType, names)
  const facts = { hardwareUuid, hardwareSerial, instanceId, hostIdentifier }
  return {
    ...identitiesOf(facts, policy),
    hostname: hostnameOf(details, hostIdentifier),
    platform: platformOf(details, platformFamily),
    platformFamily,
    osqueryVersion: osquery['version'] ?? '',
    ...facts,
    hostDetails: details,
  }
}

/** What a host is called. */
export function hostnameOf({ system_info: system = {} }: HostDetails, hostIdentifier: string): string {
  return firstOf(system['hostname'], system['computer_name'], system['local_hostname'], hostIdentifier)
}

/** As osquery names it; the family where nothing tells. */
export function platformOf(
  { os_version: os = {}, osquery_info: osquery = {} }: HostDetails,
  platformFamily: string,
): string {
  return firstOf(os['platform'], osquery['build_platform'], platformFamily)
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
