import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  EXPIRING_WITHIN_MS,
  normalSerial,
  ruleAgainst,
  stateOfSecret,
  type SecretRules,
} from '../../src/fleet/enroll-rules.ts'
import { check } from '../properties/check.ts'

const NOW = Date.UTC(2026, 10, 22)
const HOST = { address: '203.0.113.7', platform: 'ubuntu', platformFamily: 'linux' }

describe('the rules of a secret that the edge judges', () => {
  it.each<[string, SecretRules, Partial<typeof HOST> | { address: null }, string | null]>([
    ['none', {}, {}, null],
    ['what only D1 judges', { quota: 1, hasSerials: true, tags: ['a'] }, {}, null],
    ['an end to come', { expiresAtMs: NOW + 1 }, {}, null],
    ['an end that is now', { expiresAtMs: NOW }, {}, 'expired'],
    ['a family', { platforms: ['linux'] }, {}, null],
    ['a name', { platforms: ['ubuntu'] }, {}, null],
    ['a name in other letters', { platforms: ['ubuntu'] }, { platform: 'Ubuntu' }, null],
    ['another name of the family', { platforms: ['rhel', 'darwin'] }, {}, 'platform'],
    [
      'hosts that have not told',
      { platforms: ['linux'] },
      { platform: 'unknown', platformFamily: 'unknown' },
      'platform',
    ],
    [
      'hosts that have not told, allowed',
      { platforms: ['unknown'] },
      { platform: 'unknown', platformFamily: 'unknown' },
      null,
    ],
    ['its network', { cidrs: ['203.0.113.0/24'] }, {}, null],
    ['its address', { cidrs: ['203.0.113.7'] }, {}, null],
    ['one of many networks', { cidrs: ['10.0.0.0/8', '2001:db8::/32', '203.0.113.0/28'] }, {}, null],
    ['another network', { cidrs: ['203.0.113.8/29'] }, {}, 'network'],
    ['everything of IPv4', { cidrs: ['0.0.0.0/0'] }, {}, null],
    ['everything of IPv6, from IPv4', { cidrs: ['::/0'] }, {}, 'network'],
    ['an IPv6 network', { cidrs: ['2001:db8:1::/48'] }, { address: '2001:db8:1:ffff::1' }, null],
    ['the IPv6 network beside it', { cidrs: ['2001:db8:1::/48'] }, { address: '2001:db8:2::1' }, 'network'],
    ['IPv4 inside of IPv6', { cidrs: ['203.0.113.0/24'] }, { address: '::ffff:203.0.113.9' }, null],
    ['an address that is not known', { cidrs: ['0.0.0.0/0', '::/0'] }, { address: null }, 'network'],
    ['a text that is no address', { cidrs: ['0.0.0.0/0'] }, { address: 'unix:' }, 'network'],
    [
      'several at once: the end first',
      { expiresAtMs: NOW, cidrs: ['10.0.0.0/8'], platforms: ['darwin'] },
      {},
      'expired',
    ],
  ])('%s', (_what, rules, host, expected) => {
    expect(ruleAgainst(rules, { ...HOST, ...host }, NOW)).toBe(expected)
  })

  it('a network holds exactly the addresses that share its first bits', () => {
    const address = fc.array(fc.integer({ min: 0, max: 255 }), { minLength: 4, maxLength: 4 })
    const bitsOf = (octets: number[]) => octets.map((octet) => octet.toString(2).padStart(8, '0')).join('')
    return check(
      fc.property(
        address,
        address,
        fc.integer({ min: 0, max: 32 }),
        fc.integer({ min: 0, max: 32 }),
        (own, other, prefix, same) => {
          // Half of the addresses share a start with the network, so that both answers come up.
          const bits = bitsOf(own).slice(0, same) + bitsOf(other).slice(same)
          const from = (bits.match(/.{8}/g) ?? []).map((octet) => Number.parseInt(octet, 2)).join('.')
          const rule = ruleAgainst({ cidrs: [`${own.join('.')}/${prefix}`] }, { ...HOST, address: from }, NOW)
          expect(rule).toBe(bits.startsWith(bitsOf(own).slice(0, prefix)) ? null : 'network')
        },
      ),
      1_000,
    )
  })

  it('the same for IPv6', () => {
    const address = fc.array(fc.integer({ min: 0, max: 0xffff }), { minLength: 8, maxLength: 8 })
    const textOf = (parts: number[]) => parts.map((part) => part.toString(16)).join(':')
    const bitsOf = (parts: number[]) => parts.map((part) => part.toString(2).padStart(16, '0')).join('')
    return check(
      fc.property(
        address,
        fc.integer({ min: 0, max: 128 }),
        fc.integer({ min: 0, max: 127 }),
        (own, prefix, flipped) => {
          const bits = bitsOf(own)
            .split('')
            .map((bit, at) => (at === flipped ? (bit === '0' ? '1' : '0') : bit))
            .join('')
          const from = (bits.match(/.{16}/g) ?? []).map((part) => Number.parseInt(part, 2))
          fc.pre(!textOf(own).startsWith('0:0:0:0:0:') && !textOf(from).startsWith('0:0:0:0:0:'))
          const rule = ruleAgainst(
            { cidrs: [`${textOf(own)}/${prefix}`] },
            { ...HOST, address: textOf(from) },
            NOW,
          )
          expect(rule).toBe(flipped >= prefix ? null : 'network')
        },
      ),
      1_000,
    )
  })
})

describe('the state of a secret', () => {
  const plain = { revokedAtMs: null, expiresAtMs: null, quota: null, nodes: 0 }
  it.each([
    ['active', plain],
    ['active', { ...plain, quota: 2, nodes: 1 }],
    ['active', { ...plain, expiresAtMs: NOW + EXPIRING_WITHIN_MS + 1 }],
    ['expiring', { ...plain, expiresAtMs: NOW + EXPIRING_WITHIN_MS }],
    ['expiring', { ...plain, expiresAtMs: NOW + 1 }],
    ['expired', { ...plain, expiresAtMs: NOW }],
    ['exhausted', { ...plain, quota: 2, nodes: 2 }],
    ['exhausted', { ...plain, quota: 2, nodes: 3, expiresAtMs: NOW + 1 }],
    ['expired', { ...plain, quota: 2, nodes: 2, expiresAtMs: NOW - 1 }],
    ['revoked', { revokedAtMs: NOW, expiresAtMs: NOW - 1, quota: 1, nodes: 1 }],
  ])('%s: %j', (state, secret) => {
    expect(stateOfSecret(secret, NOW)).toBe(state)
  })
})

it('a serial is compared without case and blanks around', () => {
  expect(normalSerial(' C02XG0FDH7JY\n')).toBe('c02xg0fdh7jy')
})
