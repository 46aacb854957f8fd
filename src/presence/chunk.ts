/** One row of presence: 4,096 nodes as fixed-width columns of seconds. Pure. */

import type { Bytes } from '../lib/bytes.ts'
import { PRESENCE_KINDS, type LastSeen, type Sighting } from './kinds.ts'

export const ORDINALS_PER_CHUNK = 4_096
/** Six kinds, the configuration version, the newest key: 32 bytes a node, 128 KiB a chunk. */
const COLUMNS = 8
const CONFIGURATION_COLUMN = 6
/** Spare before keys were watched, so that 0 is: not known. */
const KEY_COLUMN = 7
const CHUNK_BYTES = ORDINALS_PER_CHUNK * COLUMNS * 4

export function emptyChunk(): Bytes {
  return new Uint8Array(CHUNK_BYTES)
}

/** What isolates' clocks may be ahead of the object's. */
const MAX_AHEAD_S = 60

/**
 * Writes a sighting into its chunk; an older one never replaces a newer one. What is still to come was noted by a clock
 * that is or was wrong, and the node would seem to be online until then: it becomes now, and is replaced by any other.
 */
export function noteSighting(chunk: Bytes, sighting: Sighting, nowS: number): void {
  const column = PRESENCE_KINDS.indexOf(sighting.kind)
  // A kind that only a newer Worker knows (gradual deploy) has no column here: its place would be a neighbour's.
  if (column === -1) return
  const view = new DataView(chunk.buffer, chunk.byteOffset)
  const base = (sighting.ordinal % ORDINALS_PER_CHUNK) * COLUMNS * 4
  const at = base + column * 4
  const notedS = view.getUint32(at)
  const atS = sighting.atS > nowS + MAX_AHEAD_S ? nowS : sighting.atS
  if (atS < notedS && notedS <= nowS + MAX_AHEAD_S) return
  view.setUint32(at, atS)
  if (sighting.kind === 'config')
    view.setUint32(base + CONFIGURATION_COLUMN * 4, sighting.configurationVersion)
}

export function readLastSeen(chunk: Bytes, ordinal: number): LastSeen {
  const view = new DataView(chunk.buffer, chunk.byteOffset)
  const base = (ordinal % ORDINALS_PER_CHUNK) * COLUMNS * 4
  const atS = Object.fromEntries(
    PRESENCE_KINDS.map((kind, column) => [kind, view.getUint32(base + column * 4)]),
  )
  return {
    ordinal,
    atS: atS as LastSeen['atS'],
    configurationVersion: view.getUint32(base + CONFIGURATION_COLUMN * 4),
  }
}

/** When the newest key that an ordinal was seen with was issued; 0: none was seen. */
export function newestKeyS(chunk: Bytes, ordinal: number): number {
  return new DataView(chunk.buffer, chunk.byteOffset).getUint32(keyPlaceOf(ordinal))
}

export function setNewestKeyS(chunk: Bytes, ordinal: number, issuedS: number): void {
  new DataView(chunk.buffer, chunk.byteOffset).setUint32(keyPlaceOf(ordinal), issuedS)
}

function keyPlaceOf(ordinal: number): number {
  return ((ordinal % ORDINALS_PER_CHUNK) * COLUMNS + KEY_COLUMN) * 4
}

/** The places in a chunk of nodes that were served a configuration at or after a time (over 0), and its version. */
export function* configurationsSince(
  chunk: Bytes,
  atS: number,
): Generator<{ place: number; version: number }> {
  const view = new DataView(chunk.buffer, chunk.byteOffset)
  const column = PRESENCE_KINDS.indexOf('config')
  for (let place = 0; place < ORDINALS_PER_CHUNK; place += 1) {
    const base = place * COLUMNS * 4
    if (view.getUint32(base + column * 4) >= atS)
      yield { place, version: view.getUint32(base + CONFIGURATION_COLUMN * 4) }
  }
}

/** The places in a chunk of nodes that were seen doing anything at or after a time. */
export function* placesSeenSince(chunk: Bytes, atS: number): Generator<number> {
  const view = new DataView(chunk.buffer, chunk.byteOffset)
  for (let place = 0; place < ORDINALS_PER_CHUNK; place += 1) {
    const base = place * COLUMNS * 4
    for (let column = 0; column < PRESENCE_KINDS.length; column += 1) {
      if (view.getUint32(base + column * 4) >= atS) {
        yield place
        break
      }
    }
  }
}
