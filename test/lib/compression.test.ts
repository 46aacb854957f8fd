import { gzipSync } from 'node:zlib'
import { describe, expect, it } from 'vitest'
import { textOf, utf8, type Bytes } from '../../src/lib/bytes.ts'
import { gunzip, gzip, looksGzipped } from '../../src/lib/compression.ts'

const MIB = 1_024 * 1_024

function gzipped(bytes: Uint8Array): Bytes {
  return new Uint8Array(gzipSync(bytes))
}

describe('gzip', () => {
  it.each([0, 1, 70_000])('of %i bytes comes back as they were', async (length) => {
    const bytes = new Uint8Array(length).map((_byte, index) => (index * 31) % 251)
    const packed = await gzip(bytes)
    expect(looksGzipped(packed)).toBe(true)
    expect(await gunzip(packed, MIB)).toEqual({ ok: true, value: bytes })
  })

  it('reads what others compressed', async () => {
    const found = await gunzip(gzipped(utf8('{"node_key":"k"}')), MIB)
    expect(found.ok && textOf(found.value)).toBe('{"node_key":"k"}')
  })

  it('is recognised by its first two bytes', () => {
    for (const bytes of [[], [0x1f], [0x1f, 0x8c], [0x7b, 0x7d]])
      expect(looksGzipped(new Uint8Array(bytes))).toBe(false)
    expect(looksGzipped(new Uint8Array([0x1f, 0x8b]))).toBe(true)
  })

  it('may inflate to the limit, not beyond it', async () => {
    const packed = gzipped(new Uint8Array(1_000))
    expect((await gunzip(packed, 1_000)).ok).toBe(true)
    expect(await gunzip(packed, 999)).toEqual({ ok: false, reason: { kind: 'too-large', maxBytes: 999 } })
  })

  it('cuts a bomb off while it inflates', async () => {
    const bomb = gzipped(new Uint8Array(24 * MIB))
    const before = process.memoryUsage().arrayBuffers
    expect(await gunzip(bomb, MIB)).toEqual({ ok: false, reason: { kind: 'too-large', maxBytes: MIB } })
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(12 * MIB)
  })

  it.each([
    ['nothing', new Uint8Array(0)],
    ['the magic alone', new Uint8Array([0x1f, 0x8b])],
    ['plain text', utf8('{"a":1}')],
    ['a stream that breaks off', gzipped(utf8('x'.repeat(500))).slice(0, -9)],
    [
      'a wrong checksum',
      gzipped(utf8('abc')).map((byte, index, all) => (index === all.length - 5 ? byte ^ 1 : byte)),
    ],
  ])('says that %s is corrupt', async (_name, bytes) => {
    expect(await gunzip(bytes, MIB)).toEqual({ ok: false, reason: { kind: 'corrupt' } })
  })
})
