import { describe, expect, it } from 'vitest'
import { readPlace, startPlace, writePlace } from '../../src/queries/viewer-place.ts'

describe('the cursor of a stream', () => {
  it.each([[startPlace(1)], [startPlace(128)], [{ arrivals: [7, 0, 250_000], rows: [0, 12, 0] }]])(
    'says a place and reads it',
    (place) => {
      expect(readPlace(writePlace(place), place.arrivals.length)).toEqual(place)
    },
  )

  it('is short for a query of four shards', () => {
    const place = { arrivals: [250_000, 250_000, 250_000, 250_000], rows: [0, 0, 0, 0] }
    expect(writePlace(place).length).toBeLessThan(64)
  })

  it.each([
    ['nothing', ''],
    ['no base64url', 'äöü'],
    ['no JSON', btoa('nothing')],
    ['another format', btoa('[2,[0],[0]]')],
    ['too few shards', btoa('[1,[],[]]')],
    ['negative places', btoa('[1,[-1],[0]]')],
    ['fractions', btoa('[1,[0.5],[0]]')],
    ['texts', btoa('[1,["0"],[0]]')],
    ['rows that are missing', btoa('[1,[0]]')],
    ['more than any has', 'W'.repeat(10_000)],
  ])('is not %s', (_name, cursor) => {
    expect(readPlace(cursor.replace(/=+$/, ''), 1)).toBeNull()
  })
})
