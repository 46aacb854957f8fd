import { describe, expect, it } from 'vitest'
import { seal, unseal, type CredentialKind } from '../../src/agent/credential.ts'
import { base64UrlOf, bytesOfBase64Url, utf8 } from '../../src/lib/bytes.ts'
import { signingKeys } from '../support/signing-keys.ts'

const KIND: CredentialKind = { name: 'oen', format: 1, payloadBytes: 9 }
const PAYLOAD = utf8('nine byte')
const keys = await signingKeys('k1')
const sealed = await seal(keys, KIND, PAYLOAD)

/** The credential with one bit of its bytes turned. */
function tampered(text: string, at: number): string {
  const bytes = bytesOfBase64Url(text.slice(5)) ?? new Uint8Array(0)
  return text.slice(0, 5) + base64UrlOf(bytes.map((byte, index) => (index === at ? byte ^ 0x10 : byte)))
}

describe('a credential', () => {
  it('is header-safe, says its kind and format, and gives its payload back', async () => {
    expect(sealed).toMatch(/^oen1-[A-Za-z0-9_-]+$/)
    expect(await unseal(keys, KIND, sealed)).toEqual({ ok: true, value: PAYLOAD })
  })

  it('is the same text for the same payload and key', async () => {
    expect(await seal(keys, KIND, PAYLOAD)).toBe(sealed)
  })

  it.each([1, 5, 9, 10, 25])('with byte %i changed has a bad MAC', async (at) => {
    expect(await unseal(keys, KIND, tampered(sealed, at))).toEqual({ ok: false, reason: 'bad-mac' })
  })

  it('under a key id that is not known here is unknown, whatever its MAC (rotation)', async () => {
    expect(await unseal(keys, KIND, tampered(sealed, 0))).toEqual({ ok: false, reason: 'unknown-format' })
    const rotated = await seal(await signingKeys('k2', ['k1', 'k2']), KIND, PAYLOAD)
    expect(await unseal(keys, KIND, rotated)).toEqual({ ok: false, reason: 'unknown-format' })
  })

  it('of the key before is read after a rotation', async () => {
    expect((await unseal(await signingKeys('k2', ['k1', 'k2']), KIND, sealed)).ok).toBe(true)
  })

  it('of another format is unknown: a newer Worker may have made it', async () => {
    const newer = await seal(keys, { ...KIND, format: 2, payloadBytes: 12 }, new Uint8Array(12))
    expect(await unseal(keys, KIND, newer)).toEqual({ ok: false, reason: 'unknown-format' })
  })

  it('of one kind never passes for another, even with its prefix changed', async () => {
    const other: CredentialKind = { ...KIND, name: 'oeq' }
    expect(await unseal(keys, other, sealed)).toEqual({ ok: false, reason: 'foreign' })
    expect(await unseal(keys, other, `oeq${sealed.slice(3)}`)).toEqual({ ok: false, reason: 'bad-mac' })
  })

  it('of another deployment with the same key id has a bad MAC', async () => {
    const theirs = await signingKeys('k1', ['k1', 'k2'])
    const sameIdOtherKey = {
      ...theirs,
      sign: (_keyId: number, payload: typeof PAYLOAD) => theirs.sign(2, payload),
    }
    const text = await seal(sameIdOtherKey, KIND, PAYLOAD)
    expect(await unseal(keys, KIND, text)).toEqual({ ok: false, reason: 'bad-mac' })
  })

  it.each([
    ['nothing', ''],
    ['the key of another server', 'q8Zr0fJ3m1Xy7uTnB5aWc2Lh9eKdVg4s'],
    ['a UUID', '4c4c4544-0042-3510-8052-b4c04f4d5231'],
    ['the prefix alone', 'oen1-'],
    ['a shorter one', sealed.slice(0, -2)],
    ['a longer one', `${sealed}AA`],
    ['one with a space before it', ` ${sealed}`],
    ['one with a line end after it', `${sealed}\n`],
    ['one with padding', `${sealed}=`],
    ['one in capitals', sealed.toUpperCase()],
    ['one that is not base64url', `${sealed.slice(0, 10)}+${sealed.slice(11)}`],
  ])('%s is foreign', async (_name, text) => {
    expect(await unseal(keys, KIND, text)).toEqual({ ok: false, reason: 'foreign' })
  })

  it('has one text: the spare bits at its end are as they were written', async () => {
    const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'
    const last = alphabet.indexOf(sealed.at(-1) ?? '')
    for (const spare of [1, 2, 3]) {
      const text = sealed.slice(0, -1) + alphabet.charAt(last ^ spare)
      expect(bytesOfBase64Url(text.slice(5))).toEqual(bytesOfBase64Url(sealed.slice(5)))
      expect(await unseal(keys, KIND, text)).toEqual({ ok: false, reason: 'foreign' })
    }
  })

  it('cannot be made without the current key', async () => {
    const without = { ...keys, sign: () => Promise.resolve(null) }
    await expect(seal(without, KIND, PAYLOAD)).rejects.toThrow('missing')
  })
})
