import { describe, expect, it } from 'vitest'
import { Pace } from '../../src/lib/pace.ts'

describe('a pace', () => {
  async function turnsOfOthers(every: number, units: readonly number[]): Promise<number> {
    let turns = 0
    let isOver = false
    const others = () => {
      turns += 1
      if (!isOver) setTimeout(others, 0)
    }
    const pace = new Pace(every)
    setTimeout(others, 0)
    for (const unit of units) await pace.after(unit)
    isOver = true
    return turns
  }

  it('lets others have a turn each so many units', async () => {
    expect(await turnsOfOthers(10, [5, 5, 5, 5, 20])).toBeGreaterThanOrEqual(2)
  })

  it('goes on at once until then', async () => {
    expect(await turnsOfOthers(100, [50, 49])).toBe(0)
  })
})
