/** Audit rows as log lines of type `audit`: who changed what goes to the archive, and from there to sinks. */

import '../support/workerd-crypto.ts'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { DEPLOYMENT_ENVIRONMENT_ID } from '../../src/logs/archive-object.ts'
import { exportAudit } from '../../src/logs/export-audit.ts'
import { startServer, type TestServer } from '../support/harness.ts'
import { created, makeEnvironment, problemOf } from '../support/operator.ts'
import { type LogItem, type LogList } from './support.ts'

/** Rows are left alone until no older one can turn up. */
const LATER_MS = 120_000

let server: TestServer
beforeAll(async () => {
  server = await startServer()
})
afterAll(() => server.close())

async function auditLines(environment: string): Promise<LogItem[]> {
  const reply = await server.operator('GET', `/environments/${environment}/logs?type=audit`)
  return reply.json<LogList>().items
}

function untilAuditLines(environment: string, count: number): Promise<LogItem[]> {
  return server.until(async () => {
    const lines = await auditLines(environment)
    return lines.length >= count ? lines : null
  })
}

async function cursor(): Promise<string> {
  const sql = 'SELECT audit_archived AS cursor FROM deployment'
  return (await server.env.DB.prepare(sql).first<{ cursor: string }>())?.cursor ?? ''
}

describe('an audit row', () => {
  it('is a line of its environment, as GET /audit shows it', async () => {
    const { id } = await makeEnvironment(server, 'audited')
    await exportAudit(server.env, Date.now() + LATER_MS)
    const lines = await untilAuditLines(id, 2)
    const rows = created<{ items: unknown[] }>(await server.operator('GET', `/audit?environment=${id}`), 200)
    expect(lines.map(({ line }) => line)).toEqual(rows.items)
    expect(lines).toMatchObject([
      { type: 'audit', name: 'enroll-secret.create', nodeId: null, hostname: null, platform: null, tags: [] },
      { type: 'audit', name: 'environment.create', nodeId: null, configurationVersion: 1 },
    ])
  })

  it('of the whole deployment is in the archive under an id that no environment has', async () => {
    created(await server.operator('POST', '/operator-tokens', { name: 'audited' }))
    await exportAudit(server.env, Date.now() + LATER_MS)
    const prefix = `logs/r90/environment=${DEPLOYMENT_ENVIRONMENT_ID}/type=audit/`
    await server.until(async () => (await server.env.ARCHIVE.list({ prefix })).objects.length > 0)
  })

  it('of the whole deployment cannot be mistaken for those of an environment', async () => {
    const body = { name: 'nobody', uuid: DEPLOYMENT_ENVIRONMENT_ID }
    const reply = await server.operator('POST', '/environments', body)
    expect(problemOf(reply)).toEqual({ status: 422, pointers: ['/uuid'] })
  })

  it('that is young waits: an older one may still be on its way', async () => {
    const before = await cursor()
    await makeEnvironment(server, 'young')
    await exportAudit(server.env, Date.now())
    expect(await cursor()).toBe(before)
  })
})

describe('nothing is lost, nothing comes twice', () => {
  it('where the queue refuses, the next run begins at the same place', async () => {
    const { id } = await makeEnvironment(server, 'refused')
    const before = await cursor()
    const refusing = { sendBatch: () => Promise.reject(new Error('injected: away')) }
    const env = { ...server.env, LOGS: refusing } as unknown as Env
    await expect(exportAudit(env, Date.now() + LATER_MS)).rejects.toThrow('injected')
    expect(await cursor()).toBe(before)
    await exportAudit(server.env, Date.now() + LATER_MS)
    await untilAuditLines(id, 2)
    expect(await cursor()).not.toBe(before)
  })

  it('what is exported again has the same ids', async () => {
    const { id } = await makeEnvironment(server, 'twice')
    const before = await cursor()
    await exportAudit(server.env, Date.now() + LATER_MS)
    const once = await untilAuditLines(id, 2)
    // As if the run had died before it moved the cursor on.
    await server.env.DB.prepare('UPDATE deployment SET audit_archived = ?').bind(before).run()
    created(await server.operator('POST', '/environments/twice/enroll-secrets', { name: 'later' }))
    await exportAudit(server.env, Date.now() + LATER_MS)
    const again = await untilAuditLines(id, 3)
    expect(again.slice(1)).toEqual(once)
  })

  it('costs one statement a minute where there is nothing', async () => {
    await exportAudit(server.env, Date.now() + LATER_MS)
    let statements = 0
    const prepare = (sql: string) => {
      statements += 1
      return server.env.DB.prepare(sql)
    }
    await exportAudit({ DB: { prepare } } as unknown as Env, Date.now() + LATER_MS)
    expect(statements).toBe(1)
  })
})
