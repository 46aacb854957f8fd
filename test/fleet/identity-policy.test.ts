import { describe, expect, it } from 'vitest'
import { describeHost } from '../../src/fleet/identity.ts'
import { policyOf, storedPolicyOf, type StoredIdentityPolicy } from '../../src/fleet/identity-policy.ts'

const UUID = '4c4c4544-0042-3510-8052-b4c04f4d5231'

function identitiesUnder(
  stored: StoredIdentityPolicy,
  told: { uuid?: string; serial?: string; instance?: string },
) {
  const { identity, otherIdentities } = describeHost(
    'web-17',
    '9',
    {
      system_info: { uuid: told.uuid ?? UUID, hardware_serial: told.serial ?? 'SN1' },
      osquery_info: { instance_id: told.instance ?? 'i-1' },
    },
    policyOf(stored),
  )
  return [identity, ...otherIdentities]
}

describe('an identity policy', () => {
  it.each<[StoredIdentityPolicy, string]>([
    [{}, `uuid:${UUID}`],
    [{ order: ['serial'] }, 'serial:SN1'],
    [{ order: ['instance'] }, 'instance:i-1'],
    [{ order: ['host'] }, 'host:web-17'],
    [{ order: ['serial', 'host'] }, 'serial:SN1'],
    [{ placeholderUuids: [UUID] }, 'serial:SN1'],
    [{ placeholderUuids: [UUID], placeholderSerials: ['sn1'] }, 'instance:i-1'],
  ])('%j names a machine', (stored, identity) => {
    expect(identitiesUnder(stored, {})[0]).toBe(identity)
  })

  it('falls back to the other facts in their usual order, so that no host is nameless', () => {
    expect(identitiesUnder({ order: ['instance'] }, { instance: '' })[0]).toBe(`uuid:${UUID}`)
    expect(identitiesUnder({ order: ['serial', 'host'] }, { serial: 'None' })[0]).toBe('host:web-17')
  })

  it('knows what a host was under others, also by what is a placeholder now', () => {
    const others = identitiesUnder({ order: ['instance'], placeholderUuids: [UUID] }, {})
    expect(others).toEqual(['instance:i-1', `uuid:${UUID}`, 'serial:SN1', 'host:web-17'])
  })

  it('never takes what every environment knows as a placeholder, whatever it says itself', () => {
    const uuid = '03000200-0400-0500-0006-000700080009'
    expect(identitiesUnder({ order: ['uuid'] }, { uuid })).toEqual([
      'serial:SN1',
      'instance:i-1',
      'host:web-17',
    ])
  })

  it('is stored as what differs from the default, and reads what a newer Worker wrote', () => {
    expect(storedPolicyOf(policyOf({}))).toEqual({})
    expect(storedPolicyOf(policyOf({ order: ['serial'], placeholderSerials: ['x'] }))).toEqual({
      order: ['serial', 'uuid', 'instance', 'host'],
      placeholderSerials: ['x'],
    })
    expect(policyOf({ order: ['tpm' as 'uuid', 'host'] }).order).toEqual([
      'host',
      'uuid',
      'serial',
      'instance',
    ])
  })
})
