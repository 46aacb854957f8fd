/** The address that Cloudflare saw reaches the app through the guard. */

import { afterAll, beforeAll, expect, it } from 'vitest'
import { enrollWith, keyIn } from '../support/enrolling.ts'
import { sha256HexOfText } from '../../src/lib/bytes.ts'
import { startServer, type TestServer } from '../support/harness.ts'

const SECRET = 'for one network'

let server: TestServer
beforeAll(async () => {
  server = await startServer({ guarded: true })
  // The operators' route is not behind the guard.
  await server.env.DB.prepare(
    `INSERT INTO enroll_secrets (id, environment_id, name, secret_hash, rules, created_at)
     SELECT 'networked', id, 'networked', ?1, ?2, 0 FROM environments WHERE name = 'default'`,
  )
    .bind(await sha256HexOfText(SECRET), JSON.stringify({ cidrs: ['198.51.100.0/24', '2001:db8::/32'] }))
    .run()
})
afterAll(() => server.close())

it.each([
  ['198.51.100.9', true],
  ['2001:db8::9', true],
  ['192.0.2.1', false],
])('%s', async (address, isIn) => {
  const headers = { 'x-forwarded-for': '198.51.100.1' }
  const reply = await enrollWith(server, SECRET, { name: 'guarded', address, headers })
  expect(keyIn(reply) !== undefined).toBe(isIn)
  if (!isIn) expect([reply.status, reply.text]).toEqual([403, 'retry'])
})
