/** Where operators may send things: the internet, and what the deployment allows by name. */

import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { checkTarget } from '../../src/lib/outgoing.ts'
import { check } from '../properties/check.ts'

function isRefused(url: string, allowedHosts = ''): boolean {
  return !checkTarget(url, allowedHosts).ok
}

describe('refuses', () => {
  it.each([
    // IPv4: loopback, private, link-local (metadata), carrier-grade NAT, this network, multicast, reserved, broadcast.
    'https://127.0.0.1/',
    'https://127.255.1.2/',
    'https://10.0.0.1/',
    'https://172.16.0.1/',
    'https://172.31.255.255/',
    'https://192.168.1.1/',
    'https://169.254.169.254/latest/meta-data/',
    'https://100.64.0.1/',
    'https://100.100.100.200/',
    'https://168.63.129.16/',
    'https://0.0.0.0/',
    'https://192.0.0.170/',
    'https://198.18.0.1/',
    'https://198.19.255.255/',
    'https://203.0.113.7/',
    'https://224.0.0.1/',
    'https://240.0.0.1/',
    'https://255.255.255.255/',
    // Other spellings of them.
    'https://2130706433/',
    'https://0x7f000001/',
    'https://0177.0.0.1/',
    'https://127.1/',
    'https://0x7f.1/',
    'https://①②⑦.⓪.⓪.①/',
    'https://127.0.0.1./',
    'https://10.1/',
    // IPv6: unspecified, loopback, mapped, compatible, NAT64, unique-local, link-local, multicast, 6to4, Teredo, documentation.
    'https://[::]/',
    'https://[::1]/',
    'https://[0:0:0:0:0:0:0:1]/',
    'https://[::ffff:127.0.0.1]/',
    'https://[::ffff:8.8.8.8]/',
    'https://[::127.0.0.1]/',
    'https://[64:ff9b::7f00:1]/',
    'https://[fc00::1]/',
    'https://[fd12:3456::1]/',
    'https://[fe80::1]/',
    'https://[ff02::1]/',
    'https://[2002:7f00:1::]/',
    'https://[2001::1]/',
    'https://[2001:db8::1]/',
    'https://[3fff::1]/',
    // Names.
    'https://localhost/',
    'https://LOCALHOST/',
    'https://localhost./',
    'https://a.localhost/',
    'https://splunk.local/',
    'https://metadata.google.internal/',
    'https://printer.lan/',
    'https://nas.home.arpa/',
    'https://splunk/',
    // Not https, or with a password.
    'http://example.com/',
    'ftp://example.com/',
    'file:///etc/passwd',
    'javascript:alert(1)',
    'https://user:secret@example.com/',
    'example.com',
    '',
  ])('%s', (url) => {
    expect(isRefused(url)).toBe(true)
  })
})

describe('takes', () => {
  it.each([
    'https://example.com/path?query',
    'https://example.com:8088/services/collector',
    'https://1.1.1.1/',
    'https://172.15.0.1/',
    'https://172.32.0.1/',
    'https://100.63.0.1/',
    'https://100.128.0.1/',
    'https://[2606:4700:4700::1111]/',
    'https://[2a00:1450::1]/',
    'https://internal.example.com/',
    'https://localhost.example.com/',
  ])('%s', (url) => {
    expect(isRefused(url)).toBe(false)
  })
})

describe('a host that the deployment allows', () => {
  const allowed = 'localhost, 127.0.0.1,[::1],splunk.corp'
  it('may be private, also without TLS, in any spelling', () => {
    for (const host of [
      'localhost:8088',
      '127.0.0.1',
      '127.1',
      '[::1]:9200',
      '[0::1]',
      'SPLUNK.corp',
      'localhost.',
    ])
      expect(isRefused(`http://${host}/`, allowed)).toBe(false)
  })
  it('is that host alone', () => {
    for (const host of ['127.0.0.2', 'a.localhost', '10.0.0.1', 'notsplunk.corp', '[::2]', 'x.splunk.corp'])
      expect(isRefused(`http://${host}/`, allowed)).toBe(true)
  })
})

describe('for every address', () => {
  const byte = fc.nat(255)
  const privates = fc.oneof(
    fc.tuple(fc.constantFrom(10, 127, 0), byte, byte, byte),
    fc.tuple(fc.constant(192), fc.constant(168), byte, byte),
    fc.tuple(fc.constant(169), fc.constant(254), byte, byte),
    fc.tuple(fc.constant(172), fc.integer({ min: 16, max: 31 }), byte, byte),
    fc.tuple(fc.constant(100), fc.integer({ min: 64, max: 127 }), byte, byte),
    fc.tuple(fc.integer({ min: 224, max: 255 }), byte, byte, byte),
  )
  const spellings: ((parts: readonly number[]) => string)[] = [
    (parts) => parts.join('.'),
    (parts) => String(parts.reduce((sum, part) => sum * 256 + part, 0)),
    (parts) => `0x${parts.map((part) => part.toString(16).padStart(2, '0')).join('')}`,
    (parts) => parts.map((part) => `0${part.toString(8)}`).join('.'),
    (parts) => parts.map((part) => `0x${part.toString(16)}`).join('.'),
    (parts) => `[::ffff:${parts.join('.')}]`,
    (parts) => `[::${parts.join('.')}]`,
    (parts) => `[64:ff9b::${parts.join('.')}]`,
  ]
  it('that is private: no spelling gets through', async () => {
    await check(
      fc.property(privates, fc.constantFrom(...spellings), (parts, spell) => {
        expect(isRefused(`https://${spell(parts)}/`)).toBe(true)
      }),
      300,
    )
  })
  it('of IPv6: only global unicast gets through', async () => {
    const group = fc.nat(0xffff)
    await check(
      fc.property(fc.array(group, { minLength: 8, maxLength: 8 }), (groups) => {
        const text = groups.map((part) => part.toString(16)).join(':')
        const isGlobal = (groups[0] ?? 0) >> 13 === 1
        if (!isGlobal) expect(isRefused(`https://[${text}]/`)).toBe(true)
      }),
      300,
    )
  })
})
