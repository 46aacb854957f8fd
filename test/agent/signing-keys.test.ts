import { createHmac } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { loadSigningKeys, MAC_BYTES, SigningKeysUnusable } from '../../src/agent/signing-keys.ts'
import { utf8 } from '../../src/lib/bytes.ts'
import { signingKeys, signingSecret } from '../support/signing-keys.ts'

const PAYLOAD = utf8('payload')
const KEY = btoa('k'.repeat(32))

describe('signing keys', () => {
  it('sign with HMAC-SHA-256, cut to 128 bits', async () => {
    const keys = await loadSigningKeys(JSON.stringify({ current: 'k7', keys: { k7: KEY } }))
    const expected = createHmac('sha256', 'k'.repeat(32)).update(PAYLOAD).digest().subarray(0, MAC_BYTES)
    expect(keys.currentKeyId).toBe(7)
    expect(await keys.sign(7, PAYLOAD)).toEqual(new Uint8Array(expected))
  })

  it('verify what they signed and nothing else', async () => {
    const keys = await signingKeys('k1')
    const mac = (await keys.sign(1, PAYLOAD)) ?? new Uint8Array(0)
    expect(await keys.verify(1, PAYLOAD, mac)).toBe(true)
    expect(await keys.verify(1, utf8('another payload'), mac)).toBe(false)
    expect(
      await keys.verify(
        1,
        PAYLOAD,
        mac.map((byte, index) => (index === 15 ? byte ^ 1 : byte)),
      ),
    ).toBe(false)
    expect(await keys.verify(1, PAYLOAD, mac.slice(1))).toBe(false)
  })

  it('do not know an id that they lack: neither yes nor no', async () => {
    const keys = await signingKeys('k1')
    expect(await keys.sign(2, PAYLOAD)).toBeNull()
    expect(await keys.verify(2, PAYLOAD, new Uint8Array(MAC_BYTES))).toBeNull()
  })

  it('verify by every key while they sign by the current one (rotation)', async () => {
    const before = await signingKeys('k1')
    const after = await signingKeys('k2', ['k1', 'k2'])
    const mac = (await before.sign(1, PAYLOAD)) ?? new Uint8Array(0)
    expect(after.currentKeyId).toBe(2)
    expect(await after.verify(1, PAYLOAD, mac)).toBe(true)
  })

  it('of two secrets do not mix', async () => {
    const ours = await loadSigningKeys(JSON.stringify({ current: 'k1', keys: { k1: KEY } }))
    const theirs = await signingKeys('k1')
    expect(await ours.verify(1, PAYLOAD, (await theirs.sign(1, PAYLOAD)) ?? PAYLOAD)).toBe(false)
  })

  it.each([
    ['nothing', undefined],
    ['an empty text', ''],
    ['no JSON', 'k1'],
    ['null', 'null'],
    ['a list', '[]'],
    ['no keys', '{"current":"k1"}'],
    ['no current key', '{"keys":{}}'],
    ['a current key that is not among the keys', JSON.stringify({ current: 'k2', keys: { k1: KEY } })],
    ['a key of 31 bytes', JSON.stringify({ current: 'k1', keys: { k1: btoa('k'.repeat(31)) } })],
    ['a key that is not base64', JSON.stringify({ current: 'k1', keys: { k1: '!'.repeat(64) } })],
    ['a key that is no text', JSON.stringify({ current: 'k1', keys: { k1: 5 } })],
    ['the key id k256', signingSecret('k256', ['k256'])],
    ['the key id x1', signingSecret('x1', ['x1'])],
    ['a broken key beside a good one', JSON.stringify({ current: 'k1', keys: { k1: KEY, k2: 'short' } })],
  ])('are unusable made of %s', async (_name, secret) => {
    await expect(loadSigningKeys(secret)).rejects.toThrow(SigningKeysUnusable)
  })

  it('never tell a key in what they throw', async () => {
    const secret = JSON.stringify({ current: 'k1', keys: { k1: 'c2VjcmV0' } })
    await expect(loadSigningKeys(secret)).rejects.not.toThrow('c2VjcmV0')
  })
})
