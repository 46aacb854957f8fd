import { describe, expect, it } from 'vitest'
import {
  COME_AGAIN_AFTER_MS,
  damperNames,
  EnrollDamper,
  FREE_ENROLLS,
  FREE_HOSTS_OF_IDENTITY,
  type GivenKey,
} from '../../src/agent/enroll-damper.ts'
import { describeHost } from '../../src/fleet/identity.ts'

const GIVEN: GivenKey = {
  identity: {
    environmentId: crypto.randomUUID(),
    nodeId: crypto.randomUUID(),
    ordinal: 3,
    platformFamily: 'linux',
    splayBucket: 3,
    issuedAtS: 1_700_000_000,
    keyId: 1,
  },
  nodeKey: 'oen1-key',
}

/** A host that enrolls at each of these seconds: when D1 is asked, and what it hears of those that were damped. */
function asked(
  damper: EnrollDamper,
  atS: readonly number[],
  host = 'host',
  identity = 'uuid:u',
): [number, number][] {
  const asks: [number, number][] = []
  for (const second of atS) {
    const verdict = damper.judge(host, identity, second * 1_000)
    if (verdict.kind === 'same') expect(verdict.nodeKey).toBe(GIVEN.nodeKey)
    if (verdict.kind !== 'ask') continue
    asks.push([second, verdict.damped])
    damper.gave(host, GIVEN, second * 1_000)
  }
  return asks
}

const every = (seconds: number, untilS: number) =>
  Array.from({ length: Math.ceil(untilS / seconds) }, (_, index) => index * seconds)

describe('a host that enrolls over and over', () => {
  it(`is free ${FREE_ENROLLS} times a minute`, () => {
    expect(asked(new EnrollDamper(), [0, 1, 5, 61, 65, 122]).map(([atS]) => atS)).toEqual([
      0, 1, 5, 61, 65, 122,
    ])
  })

  it('costs D1 less and less, and D1 hears how often it came', () => {
    const asks = asked(new EnrollDamper(), every(2, 3_600))
    expect(asks.map(([atS]) => atS)).toEqual([0, 2, 4, 34, 94, 214, 454, 934, 1_834, 2_734])
    expect(asks.reduce((sum, [, damped]) => sum + damped + 1, 0)).toBe(2_734 / 2 + 1)
  })

  it('is forgotten when it was quiet for long', () => {
    const damper = new EnrollDamper()
    asked(damper, every(2, 600))
    expect(asked(damper, [2_000, 2_001, 2_002]).map(([atS]) => atS)).toEqual([2_000, 2_001, 2_002])
  })

  it('is asked about at once where what it was given does not count any more', () => {
    const damper = new EnrollDamper()
    asked(damper, every(2, 20))
    damper.forget('host')
    expect(damper.judge('host', 'uuid:u', 21_000).kind).toBe('ask')
  })

  it('is asked about again where D1 was away', () => {
    const damper = new EnrollDamper()
    for (const atMs of [0, 1_000, 2_000, 3_000, 4_000])
      expect(damper.judge('host', 'uuid:u', atMs).kind).toBe('ask')
  })

  it('is another host where it tells something else', async () => {
    const nameOf = async (version: string, pid: string) => {
      const host = describeHost('h', '9', { osquery_info: { version, pid, instance_id: 'i' } })
      return (await damperNames('e', 's', host)).host
    }
    expect(await nameOf('5.1', '1')).toBe(await nameOf('5.1', '2'))
    expect(await nameOf('5.1', '1')).not.toBe(await nameOf('5.2', '1'))
  })

  it('takes no more memory where it calls itself by 200 KB', async () => {
    const names = await damperNames('e', 's', describeHost('h'.repeat(200_000), '9', {}))
    expect(names.host.length + names.identity.length).toBe(128)
  })
})

describe('many hosts of one identity', () => {
  function crowd(damper: EnrollDamper, count: number, atMs: number): number {
    return Array.from({ length: count }, (_, index) => damper.judge(`host-${index}`, 'uuid:u', atMs)).filter(
      ({ kind }) => kind === 'ask',
    ).length
  }

  it('get in once each has come again, and none is kept out', () => {
    const damper = new EnrollDamper()
    expect(crowd(damper, 500, 0)).toBe(FREE_HOSTS_OF_IDENTITY)
    for (let index = 0; index < FREE_HOSTS_OF_IDENTITY; index += 1) damper.gave(`host-${index}`, GIVEN, 0)
    expect(crowd(damper, 500, COME_AGAIN_AFTER_MS)).toBe(500)
  })

  it('that are one host in a restart loop cost D1 a few rows a minute', () => {
    const damper = new EnrollDamper()
    const asks = every(2, 600).filter(
      (atS) => damper.judge(`start-${atS}`, 'uuid:u', atS * 1_000).kind === 'ask',
    )
    expect(asks).toHaveLength(10 * FREE_HOSTS_OF_IDENTITY)
  })

  it('do not concern hosts of other identities', () => {
    const damper = new EnrollDamper()
    crowd(damper, 50, 0)
    expect(damper.judge('other', 'uuid:other', 0).kind).toBe('ask')
  })
})
