/** Node keys, wire query ids and carve session ids: what was sealed comes back, and nothing else ever passes. */

import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { makeCarveSessionId, readCarveSessionId } from '../../src/agent/carve-session-id.ts'
import { makeNodeKey, readNodeKey } from '../../src/agent/node-key.ts'
import { makeQueryId, readQueryId } from '../../src/agent/query-id.ts'
import type { SigningKeys } from '../../src/agent/signing-keys.ts'
import { MAX_BLOCK_BYTES, MAX_CARVE_BYTES } from '../../src/fleet/carve-plan.ts'
import type { Result } from '../../src/lib/result.ts'
import { base64UrlOf, bytesOfBase64Url } from '../../src/lib/bytes.ts'
import { signingKeys } from '../support/signing-keys.ts'
import { check } from './check.ts'

const keys = await signingKeys('k1')
const both = await signingKeys('k2', ['k1', 'k2'])
const later = await signingKeys('k2')

const uuid = fc.uuid()
const u32 = fc.integer({ min: 0, max: 2 ** 32 - 1 })
const hex = (bytes: number) =>
  fc.uint8Array({ minLength: bytes, maxLength: bytes }).map((tag) => Buffer.from(tag).toString('hex'))

/** One kind of credential: what it says, how it is made and read. */
interface Kind<Payload> {
  payload: fc.Arbitrary<Payload>
  make: (keys: SigningKeys, payload: Payload) => Promise<string>
  read: (keys: SigningKeys, text: string) => Promise<Result<Payload, string>>
}

const KINDS: { [name: string]: Kind<{ environmentId: string }> } = {
  'node key': kindOf({
    payload: fc.record({
      environmentId: uuid,
      nodeId: uuid,
      ordinal: u32,
      platformFamily: fc.constantFrom('linux', 'darwin', 'windows', 'freebsd', 'unknown'),
      splayBucket: fc.integer({ min: 0, max: 15 }),
      issuedAtS: u32,
    }),
    make: makeNodeKey,
    read: async (readingKeys, text) => {
      const identity = await readNodeKey(readingKeys, text)
      if (!identity.ok) return identity
      const { keyId: _, ...said } = identity.value
      return { ok: true, value: said }
    },
  }),
  'query id': kindOf({
    payload: fc.record({
      environmentId: uuid,
      number: u32,
      shards: fc.integer({ min: 1, max: 128 }),
      ordinal: u32,
    }),
    make: makeQueryId,
    read: readQueryId,
  }),
  'carve session id': kindOf({
    payload: fc.record({
      environmentId: uuid,
      nodeId: uuid,
      ordinal: u32,
      carveTag: hex(16),
      requestTag: hex(8),
      plan: fc.record({
        blockSize: fc.integer({ min: 1, max: MAX_BLOCK_BYTES }),
        blockCount: u32,
        carveSize: fc.integer({ min: 1, max: MAX_CARVE_BYTES }),
      }),
    }),
    make: makeCarveSessionId,
    read: readCarveSessionId,
  }),
}

/** Takes the payload's own type away: here only its environment matters. */
function kindOf<Payload extends { environmentId: string }>(
  kind: Kind<Payload>,
): Kind<{ environmentId: string }> {
  return kind as unknown as Kind<{ environmentId: string }>
}

const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'
const PREFIX_CHARS = 5

describe.each(Object.entries(KINDS))('a %s', (name, { payload, make, read }) => {
  it('gives back what was sealed, as one header-safe text of at most 200 characters', () =>
    check(
      fc.asyncProperty(payload, async (said) => {
        const text = await make(keys, said)
        expect(text).toMatch(/^[a-z]{3}1-[A-Za-z0-9_-]{10,195}$/)
        expect(await make(keys, said)).toBe(text)
        expect(await read(keys, text)).toEqual({ ok: true, value: said })
      }),
      200,
    ))

  it('with any bit of its bytes turned does not pass; only an unknown key id may be a newer one', () =>
    check(
      fc.asyncProperty(payload, fc.nat(), async (said, position) => {
        const text = await make(keys, said)
        const bytes = bytesOfBase64Url(text.slice(PREFIX_CHARS)) ?? new Uint8Array(0)
        const bit = position % (bytes.length * 8)
        const turned = bytes.map((byte, at) => (at === bit >> 3 ? byte ^ (1 << (bit & 7)) : byte))
        const reason = bit < 8 ? 'unknown-format' : 'bad-mac'
        const forged = text.slice(0, PREFIX_CHARS) + base64UrlOf(turned)
        expect(await read(keys, forged)).toEqual({ ok: false, reason })
      }),
      300,
    ))

  it('with any character changed, taken out or put in does not pass', () =>
    check(
      fc.asyncProperty(
        payload,
        fc.nat(),
        fc.constantFrom(0, 1),
        fc.oneof(
          fc.constantFrom('', ' ', '=', '+', '/', '.', '\n', 'é', '\u0000'),
          fc.constantFrom(...ALPHABET.split('')),
        ),
        async (said, position, removed, added) => {
          const text = await make(keys, said)
          const at = position % (text.length + 1)
          const changed = text.slice(0, at) + added + text.slice(at + removed)
          fc.pre(changed !== text)
          expect((await read(keys, changed)).ok).toBe(false)
        },
      ),
      300,
    ))

  it('has one last character: the spare bits of base64 are as they were written', () =>
    check(
      fc.asyncProperty(payload, async (said) => {
        const text = await make(keys, said)
        for (const letter of ALPHABET.replace(text.slice(-1), '').split(''))
          expect((await read(keys, text.slice(0, -1) + letter)).ok).toBe(false)
      }),
      10,
    ))

  it('cut off anywhere is foreign: we know that it is none of ours', () =>
    check(
      fc.asyncProperty(payload, fc.nat(), async (said, length) => {
        const text = await make(keys, said)
        expect(await read(keys, text.slice(0, length % text.length))).toEqual({
          ok: false,
          reason: 'foreign',
        })
      }),
      200,
    ))

  it('of one environment never passes for another', () =>
    check(
      fc.asyncProperty(payload, uuid, async (said, environmentId) => {
        fc.pre(environmentId !== said.environmentId)
        const [mine, theirs] = [await make(keys, said), await make(keys, { ...said, environmentId })]
        const [a, b] = [mine, theirs].map(
          (text) => bytesOfBase64Url(text.slice(PREFIX_CHARS)) ?? new Uint8Array(0),
        )
        // Their environment with my MAC: key id, environment, the rest of mine.
        const forged = new Uint8Array(a ?? [])
        forged.set(b?.subarray(1, 17) ?? [], 1)
        const text = mine.slice(0, PREFIX_CHARS) + base64UrlOf(forged)
        expect(await read(keys, text)).toEqual({ ok: false, reason: 'bad-mac' })
        expect((await read(keys, theirs)).ok && (await read(keys, mine)).ok).toBe(true)
      }),
      200,
    ))

  it('lives through a rotation, and is unknown - never refused - where a key is missing', () =>
    check(
      fc.asyncProperty(payload, async (said) => {
        const [old, fresh] = [await make(keys, said), await make(both, said)]
        for (const text of [old, fresh]) expect(await read(both, text)).toEqual({ ok: true, value: said })
        expect(await read(later, fresh)).toEqual({ ok: true, value: said })
        expect(await read(later, old)).toEqual({ ok: false, reason: 'unknown-format' })
        expect(await read(keys, fresh)).toEqual({ ok: false, reason: 'unknown-format' })
      }),
      150,
    ))

  it('is never another kind, whatever its prefix says', () =>
    check(
      fc.asyncProperty(payload, async (said) => {
        const text = await make(keys, said)
        for (const [other, kind] of Object.entries(KINDS)) {
          if (other === name) continue
          for (const prefix of ['oen1-', 'oeq1-', 'oec1-'])
            expect((await kind.read(keys, prefix + text.slice(PREFIX_CHARS))).ok).toBe(false)
        }
      }),
      100,
    ))

  it('is not made by chance', () =>
    check(
      fc.asyncProperty(
        fc.oneof(fc.string(), fc.stringMatching(/^oe[nqc][0-9]-[A-Za-z0-9_-]{0,150}$/)),
        async (text) => {
          expect((await read(both, text)).ok).toBe(false)
        },
      ),
      300,
    ))
})
