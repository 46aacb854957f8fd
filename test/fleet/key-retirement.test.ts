import { describe, expect, it } from 'vitest'
import { blockersOf, blockerText, IN_FLIGHT_MS, type KeyFacts } from '../../src/fleet/key-retirement.ts'

const NOW_MS = 1_800_000_000_000
const RETIRABLE: KeyFacts = {
  isCurrent: false,
  quietSinceMs: NOW_MS - IN_FLIGHT_MS,
  nodes: 0,
  sealed: 0,
  revokedFromMs: NOW_MS,
}

describe('a signing key may leave the secret', () => {
  it('when nobody needs it any more', () => {
    expect(blockersOf(RETIRABLE, NOW_MS)).toEqual([])
  })

  it.each<[string, Partial<KeyFacts>, string[]]>([
    ['while it is current, whatever else', { isCurrent: true, nodes: 5 }, ['current']],
    ['before its node keys were revoked', { revokedFromMs: null }, ['not-revoked']],
    ['while they are being revoked', { revokedFromMs: NOW_MS + 1 }, ['being-revoked']],
    ['while what it signed may be under way', { quietSinceMs: NOW_MS - IN_FLIGHT_MS + 1 }, ['in-flight']],
    ['when it is not known since when it is quiet', { quietSinceMs: null }, ['in-flight']],
    ['while nodes hold keys of it', { nodes: 1 }, ['nodes']],
    ['while it alone opens secrets', { sealed: 1 }, ['sealed']],
    [
      'for several reasons at once',
      { revokedFromMs: null, nodes: 2, sealed: 3, quietSinceMs: NOW_MS },
      ['not-revoked', 'in-flight', 'nodes', 'sealed'],
    ],
  ])('but not %s', (_name, part, kinds) => {
    const blockers = blockersOf({ ...RETIRABLE, ...part }, NOW_MS)
    expect(blockers.map(({ kind }) => kind)).toEqual(kinds)
    for (const blocker of blockers) expect(blockerText(blocker)).toMatch(/./)
  })
})
