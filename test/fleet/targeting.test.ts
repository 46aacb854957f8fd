import { describe, expect, it } from 'vitest'
import { listOf, readTargets, unknownValues } from '../../src/fleet/targeting.ts'

describe('readTargets', () => {
  it.each([
    { all: true },
    { platforms: ['linux'] },
    { tags: ['a', 'a'] },
    { nodes: ['6f1f'] },
    { hostnames: ['%'] },
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
  ])('never widens %j', (value, pointers) => {
    const read = readTargets(value)
    expect(read.ok ? null : read.reason.map(({ pointer }) => pointer)).toEqual(pointers)
  })
})

describe('unknownValues', () => {
  it('points at each value that nothing has', () => {
    const list = listOf({ tags: ['web', 'wbe', 'db', 'x'] })
    expect(list && unknownValues(list, new Set(['web', 'db'])).map(({ pointer }) => pointer)).toEqual([
      '/tags/1',
      '/tags/3',
    ])
    expect(listOf({ all: true })).toBeNull()
  })
})
