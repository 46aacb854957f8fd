import { describe, expect, it } from 'vitest'
import {
  configurationsSince,
  emptyChunk,
  noteSighting,
  ORDINALS_PER_CHUNK,
  readLastSeen,
} from '../../src/presence/chunk.ts'
import { PRESENCE_KINDS, type PresenceKind, type Sighting } from '../../src/presence/kinds.ts'

const NEVER = { enroll: 0, config: 0, log: 0, read: 0, write: 0, carve: 0 }

function seen(ordinal: number, kind: PresenceKind, atS: number, configurationVersion = 0): Sighting {
  return { ordinal, kind, atS, configurationVersion }
}

function chunkOf(...sightings: Sighting[]) {
  const chunk = emptyChunk()
  for (const sighting of sightings) noteSighting(chunk, sighting, sighting.atS)
  return chunk
}

describe('a chunk of presence', () => {
  it('has seen nobody at first', () => {
    expect(readLastSeen(emptyChunk(), 5)).toEqual({ ordinal: 5, atS: NEVER, configurationVersion: 0 })
  })

  it('keeps when a node was seen, by kind', () => {
    const chunk = chunkOf(...PRESENCE_KINDS.map((kind, index) => seen(7, kind, 1_788_861_605 + index)))
    expect(Object.values(readLastSeen(chunk, 7).atS)).toEqual(
      [0, 1, 2, 3, 4, 5].map((i) => 1_788_861_605 + i),
    )
  })

  it.each([0, 1, ORDINALS_PER_CHUNK - 1, ORDINALS_PER_CHUNK, 3 * ORDINALS_PER_CHUNK + 17])(
    'keeps ordinal %i apart from its neighbours',
    (ordinal) => {
      const chunk = chunkOf(...PRESENCE_KINDS.map((kind) => seen(ordinal, kind, 2 ** 32 - 1, 9)))
      expect(readLastSeen(chunk, ordinal).configurationVersion).toBe(9)
      for (const neighbour of [ordinal + 1, ordinal + ORDINALS_PER_CHUNK - 1])
        expect(readLastSeen(chunk, neighbour)).toEqual({
          ordinal: neighbour,
          atS: NEVER,
          configurationVersion: 0,
        })
    },
  )

  it('never goes back: flushes of several isolates come in any order', () => {
    const chunk = chunkOf(seen(1, 'config', 20, 5), seen(1, 'config', 10, 4), seen(1, 'log', 3))
    expect(readLastSeen(chunk, 1)).toEqual({
      ordinal: 1,
      atS: { ...NEVER, config: 20, log: 3 },
      configurationVersion: 5,
    })
  })

  it('takes no time that is still to come from an isolate whose clock is wrong', () => {
    const chunk = emptyChunk()
    noteSighting(chunk, seen(1, 'read', 20_000), 2_000)
    expect(readLastSeen(chunk, 1).atS.read).toBe(2_000)
  })

  it('goes back where what it noted is still to come: the object’s own clock was wrong', () => {
    const chunk = chunkOf(seen(1, 'read', 20_000))
    noteSighting(chunk, seen(1, 'read', 2_000), 2_001)
    expect(readLastSeen(chunk, 1).atS.read).toBe(2_000)
  })

  it('takes the later of two of one second', () => {
    const chunk = chunkOf(seen(1, 'config', 20, 5), seen(1, 'config', 20, 6))
    expect(readLastSeen(chunk, 1).configurationVersion).toBe(6)
  })

  it('takes the configuration version from config requests alone', () => {
    const chunk = chunkOf(seen(1, 'config', 20, 5), seen(1, 'read', 30, 0), seen(1, 'log', 30, 7))
    expect(readLastSeen(chunk, 1).configurationVersion).toBe(5)
  })

  it('passes over kinds that only a newer Worker knows (gradual deploy)', () => {
    for (const ordinal of [0, 1]) {
      const unknown = { ...seen(ordinal, 'read', 30), kind: 'metrics' as PresenceKind }
      expect(chunkOf(unknown)).toEqual(emptyChunk())
    }
  })

  it('is laid out for ever: stored chunks are read by newer Workers', () => {
    const chunk = chunkOf(...PRESENCE_KINDS.map((kind, index) => seen(1, kind, index + 1, 7)))
    expect(chunk).toHaveLength(4_096 * 32)
    const words = Array.from({ length: 8 }, (_unused, index) =>
      new DataView(chunk.buffer).getUint32(32 + index * 4),
    )
    expect(words).toEqual([1, 2, 3, 4, 5, 6, 7, 0])
  })
})

describe('configurationsSince', () => {
  it('says who was served which version from a time on', () => {
    const chunk = emptyChunk()
    noteSighting(chunk, seen(3, 'config', 100, 7), 200)
    noteSighting(chunk, seen(4, 'config', 150, 8), 200)
    noteSighting(chunk, seen(5, 'log', 150), 200)
    expect([...configurationsSince(chunk, 1)]).toEqual([
      { place: 3, version: 7 },
      { place: 4, version: 8 },
    ])
    expect([...configurationsSince(chunk, 101)]).toEqual([{ place: 4, version: 8 }])
  })
})
