/** Which secret is one: wrong ones cost no storage and hinder nobody; what other Workers wrote is read too. */

import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { sha256HexOfText } from '../../src/lib/bytes.ts'
import type { Directory } from '../../src/snapshot/head.ts'
import { DIRECTORY_KEY } from '../../src/snapshot/keys.ts'
import { enrollWith, keyIn, makeSecret, SECRETS } from '../support/enrolling.ts'
import { ENROLL_SECRET, startServer, type Reply, type TestServer } from '../support/harness.ts'
import { defaultEnvironmentId } from '../support/queries.ts'

let server: TestServer
beforeAll(async () => {
  server = await startServer({ entry: 'test/faults/entry.ts' })
})
afterAll(() => server.close())

function callsOf(reply: Reply): Record<string, number> {
  return JSON.parse(reply.headers.get('x-test-calls') ?? '{}') as Record<string, number>
}

const SITE = '198.51.100.1'

describe('a wrong secret', () => {
  it('is refused before any storage: nothing but the directory is asked, once a second, and counts go on', async () => {
    await enrollWith(server, ENROLL_SECRET, { name: 'warm' })
    const startedAtMs = Date.now()
    const calls: Record<string, number> = {}
    const guesses = Array.from({ length: 50 }, (_, i) =>
      enrollWith(server, `wrong-${i}`, { name: `guess-${i}` }),
    )
    for (const reply of await Promise.all(guesses)) {
      expect(reply.text).toBe('{"node_invalid":true}')
      for (const [call, count] of Object.entries(callsOf(reply))) calls[call] = (calls[call] ?? 0) + count
    }
    const seconds = (Date.now() - startedAtMs) / 1_000
    expect(Object.keys(calls).filter((call) => !call.startsWith('DIRECTORY.'))).toEqual([])
    expect(calls['DIRECTORY.read'] ?? 0).toBeLessThanOrEqual(2 * seconds + 2)
    expect(calls['DIRECTORY.noteEnrolls'] ?? 0).toBeLessThanOrEqual(1 + seconds / 60)
  })

  it.each(['', ' \n', ENROLL_SECRET.slice(0, -1), `${ENROLL_SECRET}x`, ENROLL_SECRET.toUpperCase()])(
    'is one: %j',
    async (secret) => {
      expect((await enrollWith(server, secret, { name: 'near' })).text).toBe('{"node_invalid":true}')
    },
  )

  it('is stored nowhere, not even as a hash', async () => {
    const wrong = 'a-guess-that-must-not-be-kept'
    await enrollWith(server, wrong, { name: 'guess', headers: { 'x-test-cold': '1' } })
    const hash = await sha256HexOfText(wrong)
    const attempts = await server.operator('GET', '/enroll-attempts')
    expect(attempts.text).not.toContain(wrong)
    expect(attempts.text).not.toContain(hash)
  })
})

describe('a site behind one address', () => {
  it('gets in with its good secret while hundreds of wrong ones come from there', async () => {
    const { id, secret } = await makeSecret(server, { cidrs: [`${SITE}/32`] })
    await server.until(async () => keyIn(await enrollWith(server, secret, { name: 'first', address: SITE })))
    const wrong = Array.from({ length: 600 }, (_, i) =>
      enrollWith(server, `brute-force-${i}`, { name: `attacker-${i % 7}`, address: SITE }),
    )
    const good = Array.from({ length: 15 }, (_, i) =>
      enrollWith(server, secret, { name: `honest-${i}`, address: SITE }),
    )
    for (const reply of await Promise.all(good)) expect(keyIn(reply)).toBeDefined()
    const told = (await Promise.all(wrong)).map(({ text }) => text)
    // Those that nobody had the time to look up are told to come again, not that they are wrong.
    for (const text of told) expect(['{"node_invalid":true}', 'retry']).toContain(text)
    const { nodes } = (await server.operator('GET', `${SECRETS}/${id}`)).json<{ nodes: number }>()
    expect(nodes).toBe(16)
  })
})

describe('the directory', () => {
  const away = { 'x-test-cold': '1', 'x-test-faults': 'DIRECTORY=throw' }

  /** The copy in R2 is what an isolate reads while the object is away. */
  async function copyIs(directory: Directory): Promise<void> {
    await server.env.ARCHIVE.put(DIRECTORY_KEY, JSON.stringify(directory))
  }

  async function directory(): Promise<Directory> {
    return server.env.DIRECTORY.getByName('directory').read()
  }

  it('of a Worker that knew no rules lets in, and the node has no secret to its name', async () => {
    const { revision, environments } = await directory()
    const environmentId = await defaultEnvironmentId(server)
    const hash = await sha256HexOfText('of before')
    await copyIs({
      format: 1,
      revision,
      environments: environments.map(({ id, name }) => ({ id, name })),
      secrets: [{ hash, environmentId }],
    })
    expect(keyIn(await enrollWith(server, 'of before', { name: 'old-json', headers: away }))).toBeDefined()
    const row = await server.env.DB.prepare(
      `SELECT enroll_secret_id AS secret, admitted_by AS admitted FROM nodes WHERE hostname = 'old-json'`,
    ).first()
    expect(row).toEqual({ secret: null, admitted: null })
  })

  it('of a Worker that knew no rules is compiled again, though its revision is the newest', async () => {
    const present = await directory()
    const object = server.env.DIRECTORY.getByName('directory') as unknown as {
      install(directory: Directory): Promise<void>
    }
    await object.install({
      ...present,
      secrets: present.secrets.map(({ hash, environmentId }) => ({ hash, environmentId })),
    })
    await server.env.DIRECTORY.getByName('directory').refresh(present.revision)
    expect(await directory()).toEqual(present)
  })

  it('that is stale ends a secret on time all the same', async () => {
    const { id, secret } = await makeSecret(server)
    const present = await directory()
    const withEnd = (expiresAtMs: number): Directory => ({
      ...present,
      secrets: present.secrets.map((one) => (one.id === id ? { ...one, rules: { expiresAtMs } } : one)),
    })
    await copyIs(withEnd(Date.now() + 3_600_000))
    expect(keyIn(await enrollWith(server, secret, { name: 'in-time', headers: away }))).toBeDefined()
    await copyIs(withEnd(Date.now() - 1))
    const late = await enrollWith(server, secret, { name: 'in-time', headers: away })
    expect([late.status, late.text]).toEqual([403, 'retry'])
  })

  it('that is nowhere is retry, whatever the secret', async () => {
    const nowhere = { 'x-test-cold': '1', 'x-test-faults': 'DIRECTORY=throw,ARCHIVE=throw' }
    for (const secret of [ENROLL_SECRET, 'wrong']) {
      const reply = await enrollWith(server, secret, { name: 'lost', headers: nowhere })
      expect([reply.status, reply.text]).toEqual([503, 'retry'])
    }
  })
})
