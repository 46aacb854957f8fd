import { describe, expect, it } from 'vitest'
import { GroupCount, type RowGroup } from '../../src/queries/group-count.ts'

function counted(columns: string[], ...answers: Record<string, string>[][]): GroupCount {
  const count = new GroupCount(columns)
  for (const rows of answers) {
    count.addRows(
      rows.map((row) => JSON.stringify(row)),
      new Set<RowGroup>(),
    )
    count.nodes += 1
    count.upTo += 1
  }
  return count
}

const NGINX = { values: ['nginx'], rows: 3, nodes: 2 }

describe('a count of rows by columns', () => {
  it('counts a node once in each group', () => {
    const count = counted(
      ['name'],
      [{ name: 'nginx' }, { name: 'nginx' }],
      [{ name: 'nginx' }, { name: 'bash' }],
    )
    expect(count.groups).toEqual([NGINX, { values: ['bash'], rows: 1, nodes: 1 }])
    expect([count.rows, count.nodes]).toEqual([4, 2])
  })

  it('goes on from what was kept as if nothing had been', async () => {
    const kept = counted(['a', 'b'], [{ a: '1' }, { a: '1', b: '\0' }, { a: '\udce9' }])
    const again = await GroupCount.fromBytes(await kept.toBytes(), ['a', 'b'])
    expect(again).toEqual(kept)
    expect(again.upTo).toBe(1)
  })

  it('adds up over shards', () => {
    const count = counted(['name'], [{ name: 'nginx' }, { name: 'nginx' }])
    count.addCount(counted(['name'], [{ name: 'nginx' }]))
    expect(count.groups).toEqual([NGINX])
    expect([count.rows, count.nodes]).toEqual([3, 2])
  })

  it('has room for 50,000 groups, also with another shard’s and from what was kept, and says so', async () => {
    const rows = (from: number) => Array.from({ length: 30_000 }, (_, i) => ({ i: String(from + i) }))
    const [first, second] = [counted(['i'], rows(0)), counted(['i'], rows(30_000))]
    expect(first.hasRoom).toBe(true)
    first.addCount(second)
    expect([first.groups.length, first.rows, first.hasRoom]).toEqual([50_000, 60_000, false])
    const again = await GroupCount.fromBytes(await first.toBytes(), ['i'])
    expect([again.groups.length, again.rows, again.hasRoom]).toEqual([50_000, 60_000, false])
  })

  it('has room for four million characters of values', () => {
    const count = counted(['a'], [{ a: 'x'.repeat(4_000_000) }, { a: 'y'.repeat(400_000) }, { a: 'z' }])
    expect(count.groups.map(({ values }) => values[0]?.at(0))).toEqual(['x', 'z'])
    expect(count.hasRoom).toBe(false)
  })
})
