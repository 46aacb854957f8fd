/** A directory of any size is installed: a revoked secret must not stay valid because others have long rules. */

import { afterAll, beforeAll, expect, it } from 'vitest'
import { startServer, type TestServer } from '../support/harness.ts'

let server: TestServer
beforeAll(async () => {
  server = await startServer()
})
afterAll(() => server.close())

const SECRETS = 600
const directory = () => server.env.DIRECTORY.getByName('directory')

async function setSecrets(count: number): Promise<number> {
  const { DB } = server.env
  const cidrs = Array.from({ length: 250 }, (_, index) => `10.0.${index}.0/24`)
  await DB.batch([
    DB.prepare("DELETE FROM enroll_secrets WHERE name = 'many'"),
    DB.prepare(
      `WITH RECURSIVE n (i) AS (SELECT 1 WHERE ?1 > 0 UNION ALL SELECT i + 1 FROM n WHERE i < ?1)
       INSERT INTO enroll_secrets (id, environment_id, name, secret_hash, rules, created_at)
       SELECT 'many-' || i, (SELECT id FROM environments LIMIT 1), 'many', 'hash-' || i, ?2, 0 FROM n`,
    ).bind(count, JSON.stringify({ cidrs })),
    DB.prepare('UPDATE deployment SET revision = revision + 1'),
  ])
  return (await DB.prepare('SELECT revision FROM deployment').first<number>('revision')) ?? 0
}

async function manyIn(): Promise<number> {
  return (await directory().read()).secrets.filter(({ id }) => id?.startsWith('many-')).length
}

it('installs more than fits into one value, and less again', async () => {
  await directory().refresh(await setSecrets(SECRETS))
  expect(await manyIn()).toBe(SECRETS)
  expect(JSON.stringify(await directory().read()).length).toBeGreaterThan(2_000_000)
  await directory().refresh(await setSecrets(0))
  expect(await manyIn()).toBe(0)
})

it('believes the newer one where a Worker of before stored it whole', async () => {
  await directory().refresh(await setSecrets(SECRETS))
  const storage = await server.worker.getDurableObjectStorage('DIRECTORY', { name: 'directory' })
  const newer = JSON.stringify({ format: 1, revision: 1_000_000, environments: [], secrets: [] })
  await storage.exec(`INSERT INTO directory (id, json) VALUES (1, '${newer}')`)
  expect((await directory().read()).revision).toBe(1_000_000)
})
