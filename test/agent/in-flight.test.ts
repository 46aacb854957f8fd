import { afterEach, expect, it } from 'vitest'
import { MAX_IN_FLIGHT_BYTES } from '../../src/agent/constants.ts'
import { takeRoom } from '../../src/agent/in-flight.ts'

const givers: (() => void)[] = []
afterEach(() => {
  for (const give of givers.splice(0)) give()
})

function take(bytes: number): (() => void) | null {
  const give = takeRoom(bytes)
  if (give !== null) givers.push(give)
  return give
}

it('has room for the limit in all, and no byte more', () => {
  expect(take(MAX_IN_FLIGHT_BYTES - 1)).not.toBeNull()
  expect(take(2)).toBeNull()
  expect(take(1)).not.toBeNull()
  expect(take(1)).toBeNull()
})

it('has room again once it is given back', () => {
  const give = take(MAX_IN_FLIGHT_BYTES)
  expect(take(1)).toBeNull()
  give?.()
  expect(take(MAX_IN_FLIGHT_BYTES)).not.toBeNull()
})

it('is not widened by giving back twice', () => {
  const give = take(10)
  take(MAX_IN_FLIGHT_BYTES - 10)
  give?.()
  give?.()
  expect(take(11)).toBeNull()
  expect(take(10)).not.toBeNull()
})

it('loses nothing to what was refused', () => {
  expect(take(MAX_IN_FLIGHT_BYTES + 1)).toBeNull()
  expect(take(MAX_IN_FLIGHT_BYTES)).not.toBeNull()
})
