import { describe, expect, it } from 'vitest'
import { addressKey, addressOfKey, addressRange, isTellingAddress } from '../../src/lib/ip-address.ts'

describe('the key of an address', () => {
  it.each([
    ['203.0.113.9', '4cb007109', '203.0.113.9'],
    ['0.0.0.0', '400000000', '0.0.0.0'],
    ['::ffff:203.0.113.9', '4cb007109', '203.0.113.9'],
    ['::FFFF:CB00:7109', '4cb007109', '203.0.113.9'],
    ['2001:DB8::1', '620010db8000000000000000000000001', '2001:db8::1'],
    ['2001:db8:0:0:1:0:0:1', '620010db8000000000001000000000001', '2001:db8::1:0:0:1'],
    ['fe80::1%eth0', '6fe800000000000000000000000000001', 'fe80::1'],
    ['::', `6${'0'.repeat(32)}`, '::'],
    ['1:2:3:4:5:6:7:0', '600010002000300040005000600070000', '1:2:3:4:5:6:7:0'],
    ['64:ff9b::192.0.2.33', '60064ff9b0000000000000000c0000221', '64:ff9b::c000:221'],
  ])('of %s is %s, and is shown as %s', (text, key, shown) => {
    expect(addressKey(text)).toBe(key)
    expect(addressOfKey(key)).toBe(shown)
  })

  it.each([
    '',
    'host',
    '1.2.3',
    '1.2.3.256',
    '1.2.3.4.5',
    '1::2::3',
    '1:2:3:4:5:6:7',
    '1:2:3:4:5:6:7:8:9',
    'g::1',
    '1.2.3.4::',
  ])('is none for %j', (text) => expect(addressKey(text)).toBeNull())

  it('sorts as addresses do', () => {
    const texts = ['9.255.255.255', '10.0.0.1', '10.0.0.20', '192.168.0.1', '2001:db8::2', 'fd00::1']
    const keys = texts.map((text) => addressKey(text) ?? '')
    expect(keys.toSorted()).toEqual(keys)
  })
})

describe('a network', () => {
  it.each([
    ['10.1.2.3', '10.1.2.3', '10.1.2.3'],
    ['10.1.2.3/32', '10.1.2.3', '10.1.2.3'],
    ['10.1.2.3/24', '10.1.2.0', '10.1.2.255'],
    ['0.0.0.0/0', '0.0.0.0', '255.255.255.255'],
    ['2001:db8::5/64', '2001:db8::', '2001:db8::ffff:ffff:ffff:ffff'],
  ])('%s is from %s to %s', (text, first, last) => {
    const range = addressRange(text)
    expect([addressOfKey(range?.first ?? ''), addressOfKey(range?.last ?? '')]).toEqual([first, last])
  })

  it.each(['10.0.0.0/33', '10.0.0.0/', '10.0.0.0/x', '10.0.0.0/8/8', '::/129', 'x/8'])('%s is none', (text) =>
    expect(addressRange(text)).toBeNull(),
  )
})

describe('an address that tells where a machine is', () => {
  it.each(['10.0.0.1', '203.0.113.9', 'fd00::1', '2001:db8::1'])('%s', (text) =>
    expect(isTellingAddress(addressKey(text) ?? '')).toBe(true),
  )
  it.each([
    '127.0.0.1',
    '0.0.0.0',
    '169.254.3.4',
    '224.0.0.1',
    '255.255.255.255',
    '::',
    '::1',
    'fe80::1',
    'ff02::1',
  ])('not %s', (text) => expect(isTellingAddress(addressKey(text) ?? '')).toBe(false))
})
