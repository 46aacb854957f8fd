import { describe, expect, it } from 'vitest'
import { judgeClones, MAX_SPLITS, type CloneEvidence, type SharedNode } from '../../src/fleet/clones.ts'

const NODE: SharedNode = {
  instanceId: 'b',
  cloneSuspectedAtMs: 1_000_000,
  clones: null,
  splitBy: null,
  splitCount: 0,
  keyMinimumS: 0,
  canEnroll: true,
}
const TWO_KEYS: CloneEvidence = { kind: 'two-keys', olderS: 500, newerS: 1_000 }
const TWO_HOSTS: CloneEvidence = { kind: 'two-hosts', hosts: ['one', 'two'], atS: 2_000 }

describe('machines that share a node', () => {
  it('are told apart by instance where another one enrolled between', () => {
    expect(judgeClones(NODE, TWO_KEYS, 'split')).toEqual({
      kind: 'split',
      by: 'instance',
      keyMinimumS: 1_000,
    })
  })

  it.each([null, 400_000])(
    'are told apart by host where none did (%j): the database was copied',
    (suspected) => {
      expect(judgeClones({ ...NODE, cloneSuspectedAtMs: suspected }, TWO_KEYS, 'split')).toEqual({
        kind: 'split',
        by: 'host',
        keyMinimumS: 1_000,
      })
    },
  )

  it('and one key all have to enroll anew', () => {
    expect(judgeClones(NODE, TWO_HOSTS, 'split')).toEqual({ kind: 'split', by: 'host', keyMinimumS: 2_000 })
  })

  it('are told apart by host for good once they were', () => {
    const node = { ...NODE, clones: 'split', splitBy: 'host', splitCount: 1, keyMinimumS: 900 } as const
    expect(judgeClones(node, TWO_KEYS, 'split')).toMatchObject({ by: 'host' })
  })

  it('are no news once their keys are superseded', () => {
    expect(judgeClones({ ...NODE, keyMinimumS: 1_000 }, TWO_KEYS, 'split')).toEqual({ kind: 'known' })
  })

  it('are left alone where an operator said that they are one', () => {
    expect(judgeClones({ ...NODE, clones: 'joined' }, TWO_KEYS, 'split')).toEqual({ kind: 'known' })
  })

  it('are flagged where the environment wants no more', () => {
    expect(judgeClones(NODE, TWO_KEYS, 'flag')).toEqual({ kind: 'flag', because: 'policy' })
  })

  it('are flagged where one could not enroll again: its secret was revoked', () => {
    const verdict = judgeClones({ ...NODE, canEnroll: false }, TWO_KEYS, 'split')
    expect(verdict).toEqual({ kind: 'flag', because: 'secret-revoked' })
  })

  it.each<Partial<SharedNode>>([{ instanceId: '' }, { splitCount: MAX_SPLITS }])(
    'are flagged, and keep what they have, where nothing tells them apart: %j',
    (told) => {
      const verdict = judgeClones({ ...NODE, ...told }, TWO_KEYS, 'split')
      expect(verdict).toEqual({ kind: 'flag', because: 'nothing-tells-them-apart' })
    },
  )
})
