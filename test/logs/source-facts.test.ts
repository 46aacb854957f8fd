import { describe, expect, it } from 'vitest'
import { NodeSet } from '../../src/fleet/node-set.ts'
import { NOTHING_KNOWN, sourceOf, type SourceFacts } from '../../src/logs/source-facts.ts'

const FACTS: SourceFacts = {
  ...NOTHING_KNOWN,
  configurationVersion: 3,
  cohorts: [
    { members: NodeSet.of([7]), configurationVersion: 4 },
    { members: NodeSet.of([7, 8]), configurationVersion: 3 },
  ],
}
const SENDER = { environmentId: 'e', nodeId: 'n', receivedAtMs: 1, platform: 'linux' }

describe('the configuration version in a line', () => {
  it.each([
    ['a member of a rollout', { ...SENDER, ordinal: 7 }, 4],
    ['all others', { ...SENDER, ordinal: 9 }, 3],
    ['a body from quarantine, whose node key is gone', { ...SENDER, ordinal: 7, platform: '' }, 3],
    ['what no node sent', SENDER, 3],
  ])('of %s is the one that they get', (_who, sender, version) => {
    expect(sourceOf(sender, FACTS).configurationVersion).toBe(version)
  })
})
