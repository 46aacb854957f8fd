import { expect, it } from 'vitest'
import { MAX_IN_FLIGHT_BYTES } from '../../src/agent/constants.ts'
import { takeRoom } from '../../src/agent/in-flight.ts'
import { Room } from '../../src/agent/room.ts'

it('grows as needed, takes what is small exactly, and gives all of it back', () => {
  const room = new Room()
  expect(room.covers(0)).toBe(true)
  expect(room.covers(8_192)).toBe(true)
  expect(room.covers(8_192)).toBe(true)
  const rest = takeRoom(MAX_IN_FLIGHT_BYTES - 8_192)
  expect(rest).not.toBeNull()
  expect(room.covers(8_193)).toBe(false)
  rest?.()
  expect(room.covers(MAX_IN_FLIGHT_BYTES)).toBe(true)
  expect(new Room().covers(1)).toBe(false)
  room.release()
  room.release()
  takeRoom(MAX_IN_FLIGHT_BYTES)?.()
  expect(new Room().covers(MAX_IN_FLIGHT_BYTES)).toBe(true)
})
