import { describe, expect, it } from 'vitest'
import { noteHostUse, twoHostsOf, type HostUse } from '../../src/fleet/host-use.ts'

/** What comes of lines: names, a minute apart unless they say otherwise (`name@second`). */
function wrote(...lines: readonly string[]) {
  let use: HostUse | null = null
  for (const [index, line] of lines.entries()) {
    const [name = '', atS] = line.split('@')
    use = noteHostUse(use, name, atS === undefined ? index * 60 : Number(atS))
  }
  return use === null ? null : twoHostsOf(use)
}

describe('one machine', () => {
  it.each<[string, string[]]>([
    ['that keeps its name', ['a', 'a', 'a', 'a', 'a', 'a', 'a', 'a']],
    ['that was renamed', ['a', 'a', 'b', 'b', 'b', 'b', 'b', 'b']],
    ['that has a new name with each start', ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h', 'i', 'j', 'k']],
    [
      'that was renamed while lines waited',
      ['b@100', 'a@50', 'b@110', 'a@51', 'b@120', 'a@52', 'b@130', 'a@53', 'b@140'],
    ],
    [
      'whose name follows its network',
      ['a@0', 'b@4000', 'a@8000', 'b@12000', 'a@16000', 'b@20000', 'a@24000'],
    ],
  ])('%s', (_name, lines) => {
    expect(wrote(...lines)).toBeNull()
  })
})

describe('two machines', () => {
  it('write by turns', () => {
    expect(wrote('a', 'b', 'a', 'b', 'a', 'b', 'a')).toEqual(['b', 'a'])
  })

  it('are known also where one writes more than the other', () => {
    expect(wrote('a', 'a', 'b', 'a', 'a', 'a', 'b', 'a', 'a', 'b', 'a')).toEqual(['b', 'a'])
  })

  it('are known also where they are three', () => {
    expect(wrote('a', 'b', 'c', 'a', 'b', 'c', 'a', 'b')).toEqual(['a', 'b'])
  })
})
