import { describe, expect, it } from 'vitest'
import { describeHost, readHostDetails, withoutNuls } from '../../src/fleet/identity.ts'

const UUID = '4c4c4544-0042-3510-8052-b4c04f4d5231'
const INSTANCE = '7f0f4bb3-6f0c-4e0e-9c36-6d0e6ad21d3a'

interface Told {
  uuid?: string
  serial?: string
  instance?: string
  host?: string
}

function identityOf({ uuid, serial, instance, host = 'web-17' }: Told): string {
  const system: Record<string, string> = {}
  if (uuid !== undefined) system['uuid'] = uuid
  if (serial !== undefined) system['hardware_serial'] = serial
  const osquery: Record<string, string> = instance === undefined ? {} : { instance_id: instance }
  return describeHost(host, '9', { system_info: system, osquery_info: osquery }).identity
}

describe('which node it is (design 4, Enroll)', () => {
  it.each<[string, Told, string]>([
    ['the hardware UUID first', { uuid: UUID, serial: 'SN1', instance: INSTANCE }, `uuid:${UUID}`],
    ['the serial where there is no UUID', { serial: 'SN1', instance: INSTANCE }, 'serial:SN1'],
    ['the serial where the UUID is empty', { uuid: '', serial: 'SN1' }, 'serial:SN1'],
    ['the instance where there is no serial either', { instance: INSTANCE }, `instance:${INSTANCE}`],
    ['the host identifier where nothing else is told (2.6)', { host: 'old-box' }, 'host:old-box'],
    ['the UUID in any case: platforms differ (spec 2.1.1)', { uuid: UUID.toUpperCase() }, `uuid:${UUID}`],
    ['the UUID without the spaces around it', { uuid: ` ${UUID}\n` }, `uuid:${UUID}`],
    ['the serial as it is written', { serial: ' 5BRM2x1 ' }, 'serial:5BRM2x1'],
  ])('%s', (_name, told, identity) => {
    expect(identityOf(told)).toBe(identity)
  })

  it.each([
    '00000000-0000-0000-0000-000000000000',
    '03000200-0400-0500-0006-000700080009',
    '03020100-0504-0706-0809-0a0b0c0d0e0f',
    '03020100-0504-0706-0809-0A0B0C0D0E0F',
    '10000000-0000-8000-0040-000000000000',
    'FFFFFFFF-FFFF-FFFF-FFFF-FFFFFFFFFFFF',
    '  ',
  ])('never the placeholder UUID %j, which thousands of machines share', (uuid) => {
    expect(identityOf({ uuid, serial: 'SN1' })).toBe('serial:SN1')
    expect(identityOf({ uuid, instance: INSTANCE })).toBe(`instance:${INSTANCE}`)
  })

  it.each([
    '',
    ' ',
    '0',
    '-1',
    'None',
    'Default string',
    'To Be Filled By O.E.M.',
    'System Serial Number',
    'N/A',
  ])('never the placeholder serial %j', (serial) => {
    expect(identityOf({ serial, instance: INSTANCE })).toBe(`instance:${INSTANCE}`)
  })

  it('two machines of one host_identifier are two nodes by their instances (E7)', () => {
    const [one, other] = ['a', 'b'].map((instance) => identityOf({ instance, host: 'localhost' }))
    expect(one).not.toBe(other)
  })

  it('takes the UUID that osquery_info tells where system_info is missing', () => {
    expect(describeHost('h', '9', { osquery_info: { uuid: UUID } }).identity).toBe(`uuid:${UUID}`)
  })
})

describe('what else enroll tells', () => {
  it('of a current Linux client', () => {
    const details = {
      os_version: { platform: 'ubuntu' },
      osquery_info: { version: '5.23.1', instance_id: INSTANCE, build_platform: 'linux' },
      system_info: { hostname: 'web-17', computer_name: 'Web 17', uuid: UUID, hardware_serial: '5BRM2X1' },
      more: { unknown: 'kept' },
    }
    expect(describeHost('HOST-9', '9', details)).toEqual({
      identity: `uuid:${UUID}`,
      otherIdentities: ['serial:5BRM2X1', `instance:${INSTANCE}`, 'host:HOST-9'],
      hostname: 'web-17',
      platform: 'ubuntu',
      platformFamily: 'linux',
      osqueryVersion: '5.23.1',
      hostIdentifier: 'HOST-9',
      hardwareUuid: UUID,
      hardwareSerial: '5BRM2X1',
      instanceId: INSTANCE,
      hostDetails: details,
    })
  })

  it('of the oldest', () => {
    expect(describeHost('old-box', '', {})).toMatchObject({
      identity: 'host:old-box',
      hostname: 'old-box',
      platform: 'unknown',
      platformFamily: 'unknown',
      osqueryVersion: '',
    })
  })

  it.each([
    [{ hostname: 'a', computer_name: 'b', local_hostname: 'c' }, 'a'],
    [{ hostname: '', computer_name: 'b', local_hostname: 'c' }, 'b'],
    [{ local_hostname: 'c' }, 'c'],
    [{ hostname: '' }, 'identifier'],
  ])('the hostname of %j is %s', (system_info, hostname) => {
    expect(describeHost('identifier', '9', { system_info }).hostname).toBe(hostname)
  })

  it.each([
    [{ os_version: { platform: 'rhel' }, osquery_info: { build_platform: 'linux' } }, 'rhel'],
    [{ os_version: { platform: '' }, osquery_info: { build_platform: 'linux' } }, 'linux'],
    [{}, 'darwin'],
  ])('the platform of %j is %s', (details, platform) => {
    expect(describeHost('h', '21', details).platform).toBe(platform)
  })
})

describe('host_details', () => {
  it('keeps tables and columns that it does not know', () => {
    const details = { os_version: { platform: 'ubuntu' }, gpu_info: { model: 'x' }, empty: {} }
    expect(readHostDetails(details)).toEqual(details)
  })

  it('loses the NULs that real agents pad with, in names and values', () => {
    expect(readHostDetails({ 'system_info\0': { 'hostname\0': 'web\0-17\0\0' } })).toEqual({
      system_info: { hostname: 'web-17' },
    })
    expect(withoutNuls('\0a\0b\0')).toBe('ab')
  })

  it.each([undefined, null, '', 'x', 7, true])('is nothing where %j was sent', (value) => {
    expect(readHostDetails(value)).toEqual({})
  })

  it('passes over tables that are none, and writes values that are no texts as JSON', () => {
    const sent = { a: null, b: 'x', c: 7, d: { n: 5, t: true, o: { x: 1 }, z: null } }
    expect(readHostDetails(sent)).toEqual({ d: { n: '5', t: 'true', o: '{"x":1}', z: 'null' } })
  })

  it('takes names of JavaScript’s own as names', () => {
    const sent: unknown = JSON.parse('{"__proto__":{"hostname":"x"},"constructor":{"__proto__":"y"}}')
    const details = readHostDetails(sent)
    expect(JSON.stringify(details)).toBe(JSON.stringify(sent))
    expect(Object.getPrototypeOf(details)).toBe(Object.prototype)
  })
})
