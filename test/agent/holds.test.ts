import { expect, it } from 'vitest'
import { Holds, MAX_HELD_READS } from '../../src/agent/holds.ts'

it('has places for so many reads, and for one more when one is given back', () => {
  const holds = new Holds()
  const places = Array.from({ length: MAX_HELD_READS }, () => holds.take(6_000, 0))
  expect(places).not.toContain(null)
  expect(holds.take(6_000, 1)).toBeNull()
  places[7]?.()
  expect(holds.take(6_000, 2)).not.toBeNull()
  expect(holds.take(6_000, 2)).toBeNull()
})

it('takes places back by time: a cancelled request gives nothing back', () => {
  const holds = new Holds()
  for (let index = 0; index < MAX_HELD_READS; index += 1) holds.take(6_000, 0)
  expect(holds.take(12_001, 6_001)).not.toBeNull()
})
