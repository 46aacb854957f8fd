/** The Directory object's counts of enrolls: kept through outages, told to D1 once. */

import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { EnrollCount } from '../../src/snapshot/enroll-counts.ts'
import { makeSecret, SECRETS } from '../support/enrolling.ts'
import { startServer, type TestServer } from '../support/harness.ts'
import { created } from '../support/operator.ts'

let server: TestServer
beforeAll(async () => {
  server = await startServer({ entry: 'test/faults/entry.ts' })
})
afterAll(() => server.close())

const MINUTE = Math.floor(Date.now() / 60_000)

function directory() {
  return server.env.DIRECTORY.getByName('directory')
}

function runAlarm(): Promise<void> {
  return (directory() as unknown as { runAlarm(): Promise<void> }).runAlarm()
}

function counted(secretId: string, change: Partial<EnrollCount> = {}): EnrollCount {
  return {
    minute: MINUTE,
    environmentId: 'e',
    secretId,
    outcome: 'enrolled',
    count: 1,
    lastAtMs: MINUTE * 60_000,
    ...change,
  }
}

interface Totals {
  enrollCount: number
  refusedCount: number
  lastUsedAt: string | null
  lastRefusedAt: string | null
}

async function totalsOf(id: string): Promise<Totals> {
  return created<Totals>(await server.operator('GET', `${SECRETS}/${id}`), 200)
}

describe('totals of secrets', () => {
  it('add up over isolates and minutes, uses and refusals apart, the latest times', async () => {
    const { id } = await makeSecret(server)
    const laterMs = (MINUTE + 2) * 60_000
    await directory().noteEnrolls([counted(id, { count: 3 }), counted(id, { outcome: 'quota', count: 2 })])
    await directory().noteEnrolls([counted(id, { minute: MINUTE + 2, lastAtMs: laterMs })])
    await directory().noteEnrolls([counted(id, { minute: MINUTE + 1, lastAtMs: laterMs - 60_000 })])
    await runAlarm()
    expect(await totalsOf(id)).toMatchObject({
      enrollCount: 5,
      refusedCount: 2,
      lastUsedAt: new Date(laterMs).toISOString(),
      lastRefusedAt: new Date(MINUTE * 60_000).toISOString(),
    })
  })

  it('are stored at once, and told again only when there is more', async () => {
    const { id } = await makeSecret(server)
    await directory().noteEnrolls([counted(id, { count: 7 })])
    const storage = await server.worker.getDurableObjectStorage('DIRECTORY', { name: 'directory' })
    const stored = await storage.exec(`SELECT enrolled FROM enroll_totals WHERE secret_id = '${id}'`)
    expect(stored).toEqual([{ enrolled: 7 }])
    await runAlarm()
    expect((await totalsOf(id)).enrollCount).toBe(7)
    // What D1 has is not touched by an alarm without news.
    await server.env.DB.prepare('UPDATE enroll_secrets SET enroll_count = 100 WHERE id = ?').bind(id).run()
    await runAlarm()
    await directory().noteEnrolls([counted(id)])
    await runAlarm()
    expect((await totalsOf(id)).enrollCount).toBe(100)
  })

  it('wait while D1 is away, and lose nothing', async () => {
    const { id } = await makeSecret(server)
    await directory().noteEnrolls([counted(id, { count: 4 })])
    await server.harness.fetch('/test/faults', { method: 'POST', body: JSON.stringify({ DB: 'throw' }) })
    // It comes again: one that throws six times would be the last.
    await runAlarm()
    await directory().noteEnrolls([counted(id, { count: 5 })])
    await server.harness.fetch('/test/faults', { method: 'POST', body: '{}' })
    await runAlarm()
    expect((await totalsOf(id)).enrollCount).toBe(9)
  })

  it('of a secret that is gone hinder nobody', async () => {
    const { id } = await makeSecret(server)
    await directory().noteEnrolls([counted('gone'), counted(id)])
    await runAlarm()
    expect((await totalsOf(id)).enrollCount).toBe(1)
  })
})

describe('what became of enrolls', () => {
  it('is kept by minute and environment for seven days', async () => {
    const old = MINUTE - 7 * 24 * 60 - 5
    await directory().noteEnrolls([
      counted('', { environmentId: 'kept', minute: old }),
      counted('', { environmentId: 'kept', minute: MINUTE - 60, outcome: 'wrong-secret', count: 2 }),
      counted('', { environmentId: 'kept', minute: MINUTE - 60, outcome: 'wrong-secret', count: 3 }),
      counted('', { environmentId: 'other', minute: MINUTE - 60 }),
    ])
    expect(await directory().enrollAttempts('kept', 0)).toHaveLength(2)
    await runAlarm()
    expect(await directory().enrollAttempts('kept', 0)).toEqual([
      { minute: MINUTE - 60, outcome: 'wrong-secret', count: 5 },
    ])
    expect(await directory().enrollAttempts('kept', MINUTE - 59)).toEqual([])
  })
})
