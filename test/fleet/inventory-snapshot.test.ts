import { describe, expect, it } from 'vitest'
import {
  macKey,
  MAX_VALUES,
  rowsOfSnapshot,
  saysTheSame,
  valuesOf,
  type Row,
} from '../../src/fleet/inventory-snapshot.ts'

describe('the rows of a snapshot', () => {
  it('are texts, whatever the agent sends numbers as', () => {
    const line = '{"snapshot":[{"a":1,"b":"x","c":null,"d":"nul\\u0000"}],"action":"snapshot","name":"n"}'
    expect(rowsOfSnapshot(line)).toEqual({ rows: [{ a: '1', b: 'x', c: '', d: 'nul' }], partOf: null })
  })

  it('are none where it is empty, which is a snapshot too', () => {
    expect(rowsOfSnapshot('{"snapshot":[]}')).toEqual({ rows: [], partOf: null })
  })

  it('may come as a line for each row', () => {
    const line = '{"name":"n","action":"snapshot","unixTime":1790000000,"columns":{"user":"alice"}}'
    expect(rowsOfSnapshot(line)).toEqual({ rows: [{ user: 'alice' }], partOf: '1790000000' })
  })

  it.each(['{}', '[]', '"x"', 'not json', '{"snapshot":"x"}', '{"diffResults":{}}'])(
    'are not in %s',
    (line) => expect(rowsOfSnapshot(line)).toBeNull(),
  )
})

describe('a row of osquery_info', () => {
  const row: Row = { version: '5.23.1', pid: '7', start_time: '1', config_hash: 'a', instance_id: 'i' }

  it('says the same after a restart and after a new configuration', () => {
    expect(
      saysTheSame('osquery_info', row, { ...row, pid: '8', start_time: '2', config_hash: 'b', watcher: '1' }),
    ).toBe(true)
  })

  it('says another thing after an upgrade', () => {
    expect(saysTheSame('osquery_info', row, { ...row, version: '5.24.0' })).toBe(false)
  })
})

it('a row with a column more says another thing, unless it is empty', () => {
  expect(saysTheSame('os_version', { name: 'a' }, { name: 'a', build: '' })).toBe(true)
  expect(saysTheSame('os_version', { name: 'a' }, { name: 'a', build: '1' })).toBe(false)
})

describe('what nodes are looked up by', () => {
  it('is each address that tells where they are, and each MAC, once', () => {
    const rows = [
      { interface: 'lo', address: '127.0.0.1', mac: '00:00:00:00:00:00' },
      { interface: 'eth0', address: '10.1.2.3', mac: '02:AB:00:00:00:01' },
      { interface: 'eth0', address: 'fe80::1%eth0', mac: '02:ab:00:00:00:01' },
      { interface: 'eth0', address: '2001:db8::5', mac: '02:ab:00:00:00:01' },
      { interface: '3', address: 'garbage', mac: '' },
    ]
    expect(valuesOf('interface_addresses', rows)).toEqual([
      { kind: 'interface', value: '40a010203' },
      { kind: 'interface', value: '620010db8000000000000000000000005' },
      { kind: 'mac', value: '02:ab:00:00:00:01' },
    ])
  })

  it('is each person who is logged in, in lower case', () => {
    const rows = [
      { type: 'user', user: 'alice' },
      { type: 'user', user: 'alice' },
      { type: 'active', user: 'CORP\\Bob' },
      { type: 'boot_time', user: 'reboot' },
      { type: 'dead', user: 'carol' },
      { type: 'user', user: '' },
    ]
    expect(valuesOf('logged_in_users', rows).map(({ value }) => value)).toEqual(['alice', 'corp\\bob'])
  })

  it('is bounded', () => {
    const rows = Array.from({ length: 300 }, (_, at) => ({ address: `10.0.${at >> 8}.${at & 255}` }))
    expect(valuesOf('interface_addresses', rows)).toHaveLength(MAX_VALUES)
  })

  it.each([
    ['02-AB-00-00-00-01', '02:ab:00:00:00:01'],
    ['02ab.0000.0001', '02:ab:00:00:00:01'],
    ['02:ab:00:00:00', null],
    ['', null],
  ])('takes the MAC %j for %j', (text, key) => expect(macKey(text)).toBe(key))
})
