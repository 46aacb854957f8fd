/** `npm run keys` against a server that says what it knows, and a secret that is kept in memory. */

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { runKeys } from '../../../src/cli/keys/run.ts'
import { fingerprintOf, newSecret, parseSecret, textOfSecret, withKey } from '../../../src/cli/keys/secret.ts'
import type { KeyStore } from '../../../src/cli/keys/store.ts'

let server: Server
let folder: string
let access: string[]
/** What GET /signing-keys says. */
let known: object[]
let asked: string[]
let kept: string | undefined
let isDeployed: boolean | undefined

const { id: SECOND, secret: BOTH } = withKey(newSecret(), [])

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'keys-'))
  const tokenFile = join(folder, 'token')
  writeFileSync(tokenFile, 'oeo_token\n')
  server = createServer((request, response) => {
    asked.push(`${request.method} ${request.url}`)
    response.setHeader('content-type', 'application/json')
    const plan = { nodes: 7, online: 5, lockedOut: 0, overSeconds: 0, doneAt: 'now', warnings: [] }
    response.end(JSON.stringify(request.method === 'GET' ? { items: known, unknownNodes: 0 } : plan))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  access = ['--url', `http://127.0.0.1:${port}`, '--token-file', tokenFile]
})
afterAll(() => {
  server.close()
  rmSync(folder, { recursive: true })
})
beforeEach(() => {
  asked = []
  kept = textOfSecret(BOTH)
  isDeployed = true
  known = [serverKey('k1', { current: true }), serverKey(SECOND)]
})

function serverKey(id: string, part: object = {}) {
  return {
    id,
    current: false,
    inSecret: true,
    fingerprint: fingerprintOf(BOTH, id),
    firstSeenAt: '2026-01-01T00:00:00.000Z',
    nodes: 0,
    sealed: 0,
    revocation: null,
    retirable: false,
    blockers: [],
    ...part,
  }
}

async function keys(...args: string[]): Promise<string> {
  const lines: string[] = []
  const store: KeyStore = {
    path: 'memory',
    read: async () => kept,
    write: async (text) => void (kept = text),
    isDeployed: async () => isDeployed,
    afterwards: '',
  }
  const code = await runKeys(
    args,
    (line) => lines.push(line),
    () => store,
  )
  expect(code).toBe(0)
  return lines.join('\n')
}

const DEPLOYED = ['--env', 'production']

describe('npm run keys', () => {
  it('status shows ids and fingerprints, never keys, and what keeps one from being retired', async () => {
    known = [serverKey('k1', { nodes: 3, blockers: [{ kind: 'nodes', detail: 'three are there' }] })]
    const shown = await keys('status', ...DEPLOYED, ...access)
    expect(shown).toMatch(/k1 +[0-9a-f]{16} current +3 nodes/)
    expect(shown).toContain('not yet: three are there')
    expect(shown).toContain('the server does not have it')
    for (const key of Object.values(BOTH.keys)) expect(shown).not.toContain(key)
  })

  it('init makes a key only where there is none, here or at the Worker', async () => {
    await expect(keys('init', ...DEPLOYED)).rejects.toThrow('has keys already')
    kept = undefined
    await expect(keys('init', ...DEPLOYED)).rejects.toThrow('not in this file')
    isDeployed = undefined
    await expect(keys('init', ...DEPLOYED)).rejects.toThrow('cannot be told')
    isDeployed = false
    await keys('init', ...DEPLOYED)
    expect(parseSecret(kept ?? '').current).toBe('k1')
  })

  it('add keeps the current key and passes over ids that the server has seen', async () => {
    known = [...known, serverKey('k9', { inSecret: false })]
    await keys('add', ...DEPLOYED, ...access)
    const { current, keys: made } = parseSecret(kept ?? '')
    expect([current, Object.keys(made)]).toEqual(['k1', ['k1', 'k2', 'k10']])
  })

  it.each([
    ['does not know the key', { inSecret: false }, 'does not know'],
    ['has another key of that id', { fingerprint: 'ffffffffffffffff' }, 'another'],
    ['knows it for a moment only', { firstSeenAt: new Date().toISOString() }, 'five minutes'],
    ['never noted it', { firstSeenAt: null }, 'five minutes'],
  ])('switch waits while the server %s', async (_name, part, reason) => {
    known = [serverKey('k1', { current: true }), serverKey(SECOND, part)]
    await expect(keys('switch', '--id', SECOND, ...DEPLOYED, ...access)).rejects.toThrow(reason)
    expect(parseSecret(kept ?? '').current).toBe('k1')
    await keys('switch', '--id', SECOND, ...DEPLOYED, '--force')
    expect(parseSecret(kept ?? '').current).toBe(SECOND)
  })

  it('switch makes the new key sign, and keeps the old one', async () => {
    await expect(keys('switch', '--id', SECOND, ...DEPLOYED)).rejects.toThrow('--url')
    await keys('switch', '--id', SECOND, ...DEPLOYED, ...access)
    expect(parseSecret(kept ?? '')).toEqual({ ...BOTH, current: SECOND })
  })

  it('revoke is a preview unless it is told how many nodes it may be', async () => {
    expect(await keys('revoke', '--id', 'k1', ...DEPLOYED, ...access)).toContain('--max-nodes 7')
    await keys('revoke', '--id', 'k1', '--max-nodes', '7', ...DEPLOYED, ...access)
    expect(asked).toEqual([
      'POST /api/v1/signing-keys/k1/revoke/preview',
      'POST /api/v1/signing-keys/k1/revoke',
    ])
  })

  it('retire refuses while somebody depends on the key, and says who', async () => {
    kept = textOfSecret({ ...BOTH, current: SECOND })
    known = [serverKey('k1', { blockers: [{ kind: 'nodes', detail: '4 nodes' }] }), serverKey(SECOND)]
    await expect(keys('retire', '--id', 'k1', ...DEPLOYED)).rejects.toThrow('--url')
    await expect(keys('retire', '--id', 'k1', ...DEPLOYED, ...access)).rejects.toThrow('4 nodes')
    expect(Object.keys(parseSecret(kept).keys)).toEqual(['k1', SECOND])
    await keys('retire', '--id', 'k1', ...DEPLOYED, ...access, '--force')
    expect(Object.keys(parseSecret(kept).keys)).toEqual([SECOND])
  })

  it("retire never takes the current key, neither the file's nor the server's", async () => {
    await expect(keys('retire', '--id', 'k1', ...DEPLOYED, '--force')).rejects.toThrow('current')
    kept = textOfSecret({ ...BOTH, current: SECOND })
    const forced = keys('retire', '--id', 'k1', ...DEPLOYED, ...access, '--force')
    await expect(forced).rejects.toThrow('On the server k1 is the current key still')
  })
})
