/** A quota holds in whatever order nodes enroll, come back, are deleted and return, with one secret and its successor. */

import fc from 'fast-check'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { upsertNode } from '../../src/db/node-upsert.ts'
import { describeHost } from '../../src/fleet/identity.ts'
import type { DirectorySecret } from '../../src/snapshot/head.ts'
import { startServer, type TestServer } from '../support/harness.ts'
import { checkServer } from './check.ts'

let server: TestServer
beforeAll(async () => {
  server = await startServer()
})
afterAll(() => server.close())

const QUOTA = 2
const host = fc.integer({ min: 0, max: 4 })
const step = fc.oneof(
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('enroll'), host, successor: fc.boolean() }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('delete'), host }) },
)

it('never more nodes than the quota, and never a node refused that is in', () =>
  checkServer(
    fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 15 }), async (steps) => {
      const { DB } = server.env
      const environmentId = crypto.randomUUID()
      const first = crypto.randomUUID()
      const secretOf = (successor: boolean): DirectorySecret => ({
        hash: '',
        environmentId,
        id: successor ? crypto.randomUUID() : first,
        rules: { quota: QUOTA, quotaGroup: first, tags: ['given'] },
      })
      const isIn = new Set<number>()
      for (const one of steps) {
        if ('successor' in one) {
          const node = await upsertNode(DB, {
            environmentId,
            host: describeHost(`host-${one.host}`, '9', {}),
            secret: secretOf(one.successor),
            nowMs: Date.now(),
          })
          expect(node.ok).toBe(isIn.has(one.host) || isIn.size < QUOTA)
          if (node.ok) isIn.add(one.host)
          else expect(node.reason).toBe('quota')
        } else {
          await DB.prepare(
            `UPDATE nodes SET deleted_at = 1 WHERE environment_id = ? AND hostname = ? AND deleted_at IS NULL`,
          )
            .bind(environmentId, `host-${one.host}`)
            .run()
          isIn.delete(one.host)
        }
        expect(isIn.size).toBeLessThanOrEqual(QUOTA)
      }
      const count = DB.prepare('SELECT nodes FROM enroll_admissions WHERE quota_group = ?').bind(first)
      expect((await count.first<number>('nodes')) ?? 0).toBe(isIn.size)
      const tagged = DB.prepare(
        `SELECT COUNT(*) AS nodes FROM nodes AS n JOIN node_tags AS t ON t.node_id = n.id AND t.tag = 'given'
         WHERE n.environment_id = ? AND n.deleted_at IS NULL`,
      ).bind(environmentId)
      expect(await tagged.first<number>('nodes')).toBe(isIn.size)
    }),
    100,
  ))
