import { describe, expect, it } from 'vitest'
import { listOf, readTargets, unknownValues } from '../../src/fleet/targeting.ts'

describe('readTargets', () => {
  it.each([
    { all: true },
    { platforms: ['linux'] },
    { tags: ['a', 'a'] },
    { nodes: ['6f1f'] },
    { hostnames: ['%'] },
    { serials: ['C02XK'] },
    { uuids: ['564d0b52-1b4a-4c6e-9d39-0a1b2c3d4e5f'] },
    { osqueryVersion: '>=5.10' },
    { online: false },
    { percent: 0.5 },
    { nodeSet: 'canaries' },
    { anyOf: [{ tags: ['web'] }, { not: { allOf: [{ online: true }, { percent: 10 }] } }] },
  ])('takes %j as it is', (targets) => {
    expect(readTargets(targets)).toEqual({ ok: true, value: targets })
  })

  it.each<[unknown, string[]]>([
    [undefined, ['']],
    [null, ['']],
    ['all', ['']],
    [['all'], ['']],
    [{}, ['']],
    [{ all: true, nodes: ['x'] }, ['']],
    [{ all: false }, ['/all']],
    [{ all: 1 }, ['/all']],
    [{ All: true }, ['/All']],
    [{ all: true, 'a/b': 1 }, ['/a~1b']],
    [{ nodes: [] }, ['/nodes']],
    [{ nodes: { 0: 'x' } }, ['/nodes']],
    [{ tags: ['a', '', 3] }, ['/tags/1', '/tags/2']],
    [JSON.parse('{"__proto__":{"all":true}}'), ['/__proto__']],
    [{ osqueryVersion: 'new' }, ['/osqueryVersion']],
    [{ osqueryVersion: 5 }, ['/osqueryVersion']],
    [{ online: 'true' }, ['/online']],
    [{ percent: 0 }, ['/percent']],
    [{ percent: 100.5 }, ['/percent']],
    [{ percent: '10' }, ['/percent']],
    [{ nodeSet: '' }, ['/nodeSet']],
    [{ anyOf: [] }, ['/anyOf']],
    [{ allOf: { all: true } }, ['/allOf']],
    [{ not: {} }, ['/not']],
    [
      { anyOf: [{ tags: ['a'] }, { tgas: ['b'] }, { not: { online: 1 } }] },
      ['/anyOf/1/tgas', '/anyOf/2/not/online'],
    ],
    [nested(9), ['/not/not/not/not/not/not/not/not']],
    [{ anyOf: Array.from({ length: 100 }, () => ({ all: true })) }, ['/anyOf/99']],
    [{ nodes: Array.from({ length: 20_001 }, () => 'x') }, ['/nodes']],
  ])('never widens %j', (value, pointers) => {
    const read = readTargets(value)
    expect(read.ok ? null : read.reason.map(({ pointer }) => pointer)).toEqual(pointers)
  })
})

function nested(depth: number): unknown {
  return depth === 1 ? { all: true } : { not: nested(depth - 1) }
}

describe('unknownValues', () => {
  it('points at each value that nothing has', () => {
    const list = listOf({ tags: ['web', 'wbe', 'db', 'x'] })
    expect(list && unknownValues(list, new Set(['web', 'db'])).map(({ pointer }) => pointer)).toEqual([
      '/tags/1',
      '/tags/3',
    ])
    expect(listOf({ all: true })).toBeNull()
  })

  it('compares serials and UUIDs in any case', () => {
    expect(unknownValues({ key: 'uuids', values: ['ABC', 'abd'] }, new Set(['abc']))).toHaveLength(1)
    expect(unknownValues({ key: 'hostnames', values: ['ABC'] }, new Set(['abc']))).toHaveLength(1)
  })
})
