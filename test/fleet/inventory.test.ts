import { describe, expect, it } from 'vitest'
import {
  inventoryChange,
  LATE_AFTER_MS,
  type KnownNode,
  type NodeSnapshots,
} from '../../src/fleet/inventory.ts'
import type { Row, SnapshotTable } from '../../src/fleet/inventory-snapshot.ts'

const ENROLLED = 1_790_000_000_000
const DAY = 86_400_000
const NOW = ENROLLED + 10 * DAY

const OS: Row = { name: 'Ubuntu', version: '24.04', platform: 'ubuntu' }
const SYSTEM: Row = {
  hostname: 'web-1',
  uuid: 'A0000000-0000-4000-8000-000000000001',
  hardware_serial: 'SN1',
}
const OSQUERY: Row = { version: '5.23.1', instance_id: 'i', build_platform: 'linux' }

const NODE: KnownNode = {
  hostname: 'web-1',
  platform: 'ubuntu',
  platformFamily: 'linux',
  osqueryVersion: '5.23.1',
  hostIdentifier: 'web-1',
  identity: 'uuid:a0000000-0000-4000-8000-000000000001',
  hardwareUuid: 'a0000000-0000-4000-8000-000000000001',
  hardwareSerial: 'SN1',
  hardwareUuidSeen: '',
  hostDetails: {
    os_version: OS,
    system_info: SYSTEM,
    osquery_info: OSQUERY,
    platform_info: { vendor: 'a vendor' },
  },
  enrolledAtMs: ENROLLED,
  inventoryAtMs: {},
  values: [{ kind: 'user', value: 'alice' }],
  erasedUntilMs: -1,
}

function snapshot(table: SnapshotTable, rows: readonly Row[], receivedAtMs = NOW): NodeSnapshots {
  return { [table]: { rows, receivedAtMs } }
}

function changed(node: Partial<KnownNode>, snapshots: NodeSnapshots) {
  return inventoryChange({ ...NODE, ...node }, snapshots, NOW)
}

describe('a day on which nothing changed', () => {
  it('changes nothing, whatever restarted', () => {
    expect(
      changed(
        {},
        {
          ...snapshot('os_version', [OS]),
          ...snapshot('system_info', [SYSTEM]),
          ...snapshot('osquery_info', [{ ...OSQUERY, pid: '99', start_time: '5' }]),
          ...snapshot('logged_in_users', [{ user: 'alice', type: 'user', time: '9' }]),
          ...snapshot('interface_addresses', [{ address: '127.0.0.1', mac: '' }]),
        },
      ),
    ).toBeNull()
  })

  it('changes nothing where a table has no row', () => {
    expect(changed({}, snapshot('os_version', []))).toBeNull()
  })
})

describe('a snapshot', () => {
  it('renames a node', () => {
    expect(changed({}, snapshot('system_info', [{ ...SYSTEM, hostname: 'web-2' }]))).toEqual({
      hostname: 'web-2',
      hostDetails: { ...NODE.hostDetails, system_info: { ...SYSTEM, hostname: 'web-2' } },
      inventoryAtMs: { system_info: NOW },
    })
  })

  it('tells an upgrade of the operating system', () => {
    const upgraded = { ...OS, platform: 'debian', version: '13' }
    expect(changed({}, snapshot('os_version', [upgraded]))).toEqual({
      platform: 'debian',
      hostDetails: { ...NODE.hostDetails, os_version: upgraded },
      inventoryAtMs: { os_version: NOW },
    })
  })

  it('tells a new serial, but not where the serial says which node it is', () => {
    const other = snapshot('system_info', [{ ...SYSTEM, hardware_serial: 'SN2' }])
    expect(changed({}, other)).toMatchObject({ hardwareSerial: 'SN2' })
    expect(changed({ identity: 'serial:SN1' }, other)).not.toHaveProperty('hardwareSerial')
  })

  it('tells a version that no request told', () => {
    const next = snapshot('osquery_info', [{ ...OSQUERY, version: '5.24.0' }])
    expect(changed({}, next)).toMatchObject({ osqueryVersion: '5.24.0' })
  })

  it('of before an upgrade, sent after it, does not take back the version that requests tell', () => {
    expect(changed({ osqueryVersion: '5.24.0' }, snapshot('osquery_info', [OSQUERY]))).toBeNull()
    const restless = snapshot('osquery_info', [{ ...OSQUERY, build_distro: 'new' }])
    expect(changed({ osqueryVersion: '5.24.0' }, restless)).not.toHaveProperty('osqueryVersion')
  })

  it('keeps other tables of the details', () => {
    const change = changed({}, snapshot('os_version', [{ ...OS, version: '24.10' }]))
    expect(change?.hostDetails?.['platform_info']).toEqual({ vendor: 'a vendor' })
  })

  it('tells who is there, and who is not any more', () => {
    const change = changed({}, snapshot('logged_in_users', [{ user: 'bob', type: 'user' }]))
    expect(change).toEqual({
      traces: [{ kinds: ['user'], values: [{ kind: 'user', value: 'bob', fromMs: NOW }], atMs: NOW }],
      inventoryAtMs: { logged_in_users: NOW },
    })
    expect(changed({}, snapshot('logged_in_users', []))?.traces?.[0]?.values).toEqual([])
  })

  it('leaves times of other tables as they are', () => {
    const change = changed(
      { inventoryAtMs: { os_version: 5 } },
      snapshot('system_info', [{ ...SYSTEM, hostname: 'b' }]),
    )
    expect(change?.inventoryAtMs).toEqual({ os_version: 5, system_info: NOW })
  })
})

describe('another hardware UUID', () => {
  const OTHER = 'b0000000-0000-4000-8000-000000000002'
  const other = snapshot('system_info', [{ ...SYSTEM, uuid: OTHER.toUpperCase() }])

  it('is flagged, and who the node is stays with enroll', () => {
    const change = changed({}, other)
    expect(change).toMatchObject({ hardwareUuidSeen: OTHER })
    expect(change).not.toHaveProperty('hardwareUuid')
    expect(change).not.toHaveProperty('identity')
  })

  it('is flagged once', () => {
    const details = { ...NODE.hostDetails, system_info: { ...SYSTEM, uuid: OTHER.toUpperCase() } }
    expect(changed({ hardwareUuidSeen: OTHER, hostDetails: details }, other)).toBeNull()
  })

  it('is not flagged any more when it is the old one again, or enroll brought it', () => {
    expect(changed({ hardwareUuidSeen: OTHER }, snapshot('system_info', [SYSTEM]))).toMatchObject({
      hardwareUuidSeen: '',
    })
    expect(changed({ hardwareUuidSeen: OTHER, hardwareUuid: OTHER }, other)).toMatchObject({
      hardwareUuidSeen: '',
    })
  })

  it.each(['', '00000000-0000-0000-0000-000000000000'])('is none where it is %j', (uuid) => {
    expect(changed({}, snapshot('system_info', [{ ...SYSTEM, uuid }]))).not.toHaveProperty('hardwareUuidSeen')
  })
})

describe('what comes late', () => {
  const renamed = (receivedAtMs: number) =>
    snapshot('system_info', [{ ...SYSTEM, hostname: 'old' }], receivedAtMs)

  it('never replaces what a newer snapshot said', () => {
    expect(changed({ inventoryAtMs: { system_info: NOW } }, renamed(NOW - 1))).toBeNull()
  })

  it('never replaces what a newer enroll said', () => {
    expect(changed({ enrolledAtMs: NOW }, renamed(NOW - 1))).toBeNull()
  })

  it('by half a day is not believed, because days without a change leave no trace', () => {
    const known = { inventoryAtMs: { system_info: ENROLLED } }
    expect(changed(known, renamed(NOW - LATE_AFTER_MS))).toBeNull()
    expect(changed(known, renamed(NOW - LATE_AFTER_MS + 1))).not.toBeNull()
  })

  it('is believed where nothing was heard of the table since the enroll', () => {
    expect(changed({}, renamed(NOW - 2 * DAY))).toMatchObject({ hostname: 'old' })
  })

  it('does not bring back what was erased', () => {
    const users = snapshot('logged_in_users', [{ user: 'bob', type: 'user' }])
    expect(changed({ values: [], erasedUntilMs: NOW }, users)).toBeNull()
    expect(changed({ values: [], erasedUntilMs: NOW - 1 }, users)).not.toBeNull()
  })
})
