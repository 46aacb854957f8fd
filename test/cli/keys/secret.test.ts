import { describe, expect, it } from 'vitest'
import { presentKeys } from '../../../src/agent/key-fingerprints.ts'
import {
  fingerprintOf,
  idsOf,
  newSecret,
  parseSecret,
  switchedTo,
  textOfSecret,
  withKey,
  withoutKey,
} from '../../../src/cli/keys/secret.ts'
import '../../support/workerd-crypto.ts'

describe('the secret SIGNING_KEYS', () => {
  it('goes through a rotation step by step, and the Worker reads each of them', async () => {
    const first = newSecret()
    const { id, secret: both } = withKey(first, [])
    const switched = switchedTo(both, id)
    const last = withoutKey(switched, 'k1')
    const steps = [first, both, switched, last].map(async (secret) => {
      const read = await presentKeys(textOfSecret(secret))
      expect(read.map(({ fingerprint }) => fingerprint)).toEqual(
        idsOf(secret).map((name) => fingerprintOf(secret, name)),
      )
      return read.map(({ keyId, isCurrent }) => `${keyId}${isCurrent ? ' current' : ''}`)
    })
    expect(await Promise.all(steps)).toEqual([
      ['1 current'],
      ['1 current', '2'],
      ['1', '2 current'],
      ['2 current'],
    ])
    expect(parseSecret(textOfSecret(both))).toEqual(both)
  })

  it('never uses an id again that the server knows', () => {
    expect(withKey(newSecret(), ['k7', 'k1']).id).toBe('k8')
    expect(() => withKey(newSecret(), ['k255'])).toThrow('k255')
  })

  it.each([
    ['switched to a key that is not there', () => switchedTo(newSecret(), 'k9'), 'There is no key k9'],
    ['switched to its current key', () => switchedTo(newSecret(), 'k1'), 'already'],
    ['without its current key', () => withoutKey(newSecret(), 'k1'), 'switch to another first'],
    ['without a key that is not there', () => withoutKey(newSecret(), 'k3'), 'There is no key k3'],
  ])('is not %s', (_name, step, reason) => {
    expect(step).toThrow(reason)
  })

  it.each(['', 'null', '{}', '{"current":"k1"}', '{"current":"k2","keys":{"k1":"x"}}'])(
    'that is %j is refused',
    (text) => {
      expect(() => parseSecret(text)).toThrow('The signing keys')
    },
  )

  it('is never in the message of a refusal', () => {
    const short = Buffer.from('a short key').toString('base64')
    const text = JSON.stringify({ current: 'k1', keys: { k1: short } })
    expect(() => parseSecret(text)).toThrow(/^(?!.*YSBzaG9)/)
  })
})
