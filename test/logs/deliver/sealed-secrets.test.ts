/** Secrets at rest: opened by the deployment's keys alone, for their own sink alone, through a rotation. */

import '../../support/workerd-crypto.ts'
import { expect, it } from 'vitest'
import { isSealedByOldKey, openSecrets, sealSecrets } from '../../../src/logs/deliver/sealed-secrets.ts'

function keys(current: string, ...ids: string[]): string {
  const all = Object.fromEntries(ids.map((id) => [id, btoa(id.padEnd(32, '.'))]))
  return JSON.stringify({ current, keys: all })
}

const SECRETS = { token: 'the-secret' }

it('opens what it sealed, and shows nothing of it', async () => {
  const sealed = await sealSecrets(keys('k1', 'k1'), 'a', SECRETS)
  expect(sealed).not.toContain('secret')
  expect(await openSecrets(keys('k1', 'k1'), 'a', sealed)).toEqual(SECRETS)
  expect(await sealSecrets(keys('k1', 'k1'), 'a', SECRETS)).not.toBe(sealed)
})

it('opens nothing for another sink, with another key, or after a change', async () => {
  const sealed = await sealSecrets(keys('k1', 'k1'), 'a', SECRETS)
  const other = JSON.stringify({ current: 'k1', keys: { k1: btoa('x'.repeat(32)) } })
  await expect(openSecrets(keys('k1', 'k1'), 'b', sealed)).rejects.toThrow('damaged')
  await expect(openSecrets(other, 'a', sealed)).rejects.toThrow('damaged')
  const last = sealed.endsWith('A') ? 'B' : 'A'
  await expect(openSecrets(keys('k1', 'k1'), 'a', `${sealed.slice(0, -6)}${last.repeat(6)}`)).rejects.toThrow(
    'damaged',
  )
  await expect(openSecrets(keys('k1', 'k1'), 'a', 'oes9.1.a.b')).rejects.toThrow('format')
})

it('goes through a rotation: both keys open, then only the new one', async () => {
  const sealed = await sealSecrets(keys('k1', 'k1'), 'a', SECRETS)
  const both = keys('k2', 'k1', 'k2')
  expect(await openSecrets(both, 'a', sealed)).toEqual(SECRETS)
  expect(await isSealedByOldKey(both, sealed)).toBe(true)
  const again = await sealSecrets(both, 'a', SECRETS)
  expect(await isSealedByOldKey(both, again)).toBe(false)
  expect(await openSecrets(keys('k2', 'k2'), 'a', again)).toEqual(SECRETS)
  await expect(openSecrets(keys('k2', 'k2'), 'a', sealed)).rejects.toThrow('gone')
})
