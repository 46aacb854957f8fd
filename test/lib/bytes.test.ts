import { describe, expect, it } from 'vitest'
import {
  base64UrlOf,
  bytesOfBase64,
  bytesOfBase64Url,
  bytesOfUuid,
  concatBytes,
  hasCleanEnd,
  hexOf,
  isUuid,
  randomText,
  sha256HexOfText,
  strictTextOf,
  textOf,
  timeOrderedUuid,
  utf8,
  uuidOfBytes,
} from '../../src/lib/bytes.ts'

describe('text and bytes', () => {
  it.each(['', 'plain', 'Zoë 日本 🐈', '\u0000', '\ufeffwith a byte order mark'])(
    '%j goes there and back',
    (text) => {
      expect(textOf(utf8(text))).toBe(text)
      expect(strictTextOf(utf8(text))).toBe(text)
    },
  )

  it.each([[[0xff]], [[0xc3]], [[0xc0, 0x80]], [[0xed, 0xa0, 0x80]], [[0x61, 0xe2, 0x82]]])(
    'bytes %j are not UTF-8: replaced when read leniently, null when read strictly',
    (bytes) => {
      expect(textOf(new Uint8Array(bytes))).toContain('\ufffd')
      expect(strictTextOf(new Uint8Array(bytes))).toBeNull()
    },
  )

  it('joins parts in order, empty ones too, and copies them', () => {
    const first = utf8('ab')
    const joined = concatBytes([first, new Uint8Array(0), utf8('c')])
    first[0] = 0
    expect(textOf(joined)).toBe('abc')
    expect(concatBytes([])).toHaveLength(0)
  })
})

describe('hexadecimal and base64', () => {
  it('writes hexadecimal in lower case with leading zeros', () => {
    expect(hexOf(new Uint8Array([0, 9, 0xab, 0xff]))).toBe('0009abff')
  })

  // RFC 4648 section 10, without padding.
  it.each([
    ['', ''],
    ['f', 'Zg'],
    ['fo', 'Zm8'],
    ['foo', 'Zm9v'],
    ['foob', 'Zm9vYg'],
    ['fooba', 'Zm9vYmE'],
    ['foobar', 'Zm9vYmFy'],
  ])('base64url of %j is %j', (text, encoded) => {
    expect(base64UrlOf(utf8(text))).toBe(encoded)
    expect(bytesOfBase64Url(encoded)).toEqual(utf8(text))
  })

  it('uses the header-safe alphabet', () => {
    expect(base64UrlOf(new Uint8Array([0xfb, 0xff, 0xfe]))).toBe('-__-')
    expect(bytesOfBase64Url('-__-')).toEqual(new Uint8Array([0xfb, 0xff, 0xfe]))
  })

  it.each(['Zm9vY', 'Zg==', 'Zm+v', 'Zm/v', 'Zm 9v', 'Zm9v\n', 'Zäg'])('%j is not base64url', (text) => {
    expect(bytesOfBase64Url(text)).toBeNull()
  })

  it.each([
    ['', true],
    ['Zg', true],
    ['Zh', false],
    ['Zm8', true],
    ['Zm9', false],
    ['Zm9v', true],
  ])('%j ends as encoders end it: %j', (text, isClean) => {
    expect(hasCleanEnd(text)).toBe(isClean)
  })

  it('reads standard base64 with and without padding, and nothing else', () => {
    expect(bytesOfBase64('+/8=')).toEqual(new Uint8Array([0xfb, 0xff]))
    expect(bytesOfBase64('+/8')).toEqual(new Uint8Array([0xfb, 0xff]))
    for (const text of ['-_8=', 'Zm9vY', '=', '!']) expect(bytesOfBase64(text)).toBeNull()
  })

  it('hashes a text as SHA-256 of its UTF-8', async () => {
    expect(await sha256HexOfText('abc')).toBe(
      'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad',
    )
  })
})

describe('UUIDs', () => {
  const UUID = '0192f0e1-d2c3-7a6b-8c5d-9e8f00112233'

  it('go to 16 bytes and back', () => {
    expect(bytesOfUuid(UUID)).toHaveLength(16)
    expect(uuidOfBytes(bytesOfUuid(UUID))).toBe(UUID)
  })

  it.each([
    UUID.toUpperCase(),
    UUID.slice(1),
    `${UUID}0`,
    `{${UUID}}`,
    UUID.replaceAll('-', ''),
    `${UUID}\n`,
    '',
  ])('%j is not in canonical form', (text) => {
    expect(isUuid(text)).toBe(false)
  })

  it('of version 7 are well-formed, unique and sort by time', () => {
    const times = [0, 1, 1_788_861_605_000, 1_788_861_605_001, 2 ** 48 - 1]
    const uuids = times.map(timeOrderedUuid)
    expect(uuids.toSorted()).toEqual(uuids)
    for (const [index, uuid] of uuids.entries()) {
      expect(isUuid(uuid)).toBe(true)
      expect(uuid).toMatch(/^.{14}7.{4}[89ab]/)
      expect(Number.parseInt(uuid.replaceAll('-', '').slice(0, 12), 16)).toBe(times[index])
    }
    expect(timeOrderedUuid(5)).not.toBe(timeOrderedUuid(5))
  })

  it('random texts have the bytes asked for and differ', () => {
    expect(bytesOfBase64Url(randomText(32))).toHaveLength(32)
    expect(randomText(32)).not.toBe(randomText(32))
  })
})
