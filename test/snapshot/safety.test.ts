import { describe, expect, it } from 'vitest'
import { mayPublish } from '../../src/snapshot/safety.ts'

describe('a snapshot that revokes', () => {
  it.each<[string, before: number, after: number, nodes: number, published: boolean]>([
    ['nobody', 0, 0, 1_000, true],
    ['as many as before, however many', 900, 900, 1_000, true],
    ['fewer than before', 900, 0, 1_000, true],
    ['50 nodes of a small fleet', 0, 50, 50, true],
    ['51 nodes of 51', 0, 51, 51, false],
    ['a fifth', 0, 200, 1_000, true],
    ['more than a fifth', 0, 201, 1_000, false],
    ['more than a fifth anew', 500, 701, 1_000, false],
    ['a fifth anew, of which many were revoked before', 500, 700, 1_000, true],
    ['all of a large fleet', 0, 1_000_000, 1_000_000, false],
  ])('%s', (_name, before, after, nodeCount, published) => {
    const verdict = mayPublish({ revokedCount: before, nodeCount }, { revokedCount: after, nodeCount })
    expect(verdict).toEqual(
      published
        ? { ok: true, value: null }
        : { ok: false, reason: { kind: 'mass-revocation', newlyRevoked: after - before, nodeCount } },
    )
  })

  it.each<[string, before: number | undefined, after: number | undefined, nodes: number, published: boolean]>(
    [
      ['nothing, where nothing was scheduled', 0, 0, 1_000, true],
      ['some of it', 9, 1, 1_000, true],
      ['all of it from 50 nodes', 9, 0, 50, true],
      ['all of it from 51 nodes', 9, 0, 51, false],
      ['all of what was installed before it was counted', undefined, 0, 1_000, true],
    ],
  )('takes the schedule away: %s', (_name, before, after, nodeCount, published) => {
    const facts = (scheduledCount: number | undefined) => ({
      revokedCount: 0,
      nodeCount,
      ...(scheduledCount === undefined ? {} : { scheduledCount }),
    })
    expect(mayPublish(facts(before), facts(after))).toEqual(
      published
        ? { ok: true, value: null }
        : { ok: false, reason: { kind: 'emptied', scheduledBefore: before, nodeCount } },
    )
  })

  it('may be the first: there is nothing to compare with', () => {
    expect(mayPublish(null, { revokedCount: 900, nodeCount: 1_000 }).ok).toBe(true)
  })
})
