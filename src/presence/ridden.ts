/**
 * What rode along of one node, as its Presence object keeps it: version and addresses, and what D1 was told of them.
 * Pure.
 */

import { addressKey } from '../lib/ip-address.ts'
import type { RideAlong } from './kinds.ts'

/** Persisted as JSON: readers of a later format accept this one. */
const FORMAT = 1
/**
 * A machine behind two lines flaps between their addresses at each poll. So an address counts as left only when the node
 * was not seen at it for so long, and flapping writes two rows in all.
 */
export const LEFT_AFTER_S = 3_600
/** D1 is told of one node at most once in this time, after the first time. */
export const TELL_EVERY_S = 600
/** Isolates say every ten minutes what has not changed, with the next poll (buffer.ts). */
const SAID_AGAIN_WITHIN_S = 900
/** Addresses that a node is seen at by turns; of more the one seen longest ago is left at once. */
const MAX_ADDRESSES = 4
/** What isolates' clocks may be ahead of the object's. */
const MAX_AHEAD_S = 60

interface SeenAddress {
  /** As `addressKey` makes it. */
  key: string
  fromS: number
  /** Within ten minutes: isolates say again what has not changed. */
  seenS: number
  told: boolean
}

export interface Ridden {
  format: number
  /** Empty: nothing said it yet. */
  osqueryVersion: string
  versionAtS: number
  versionTold: boolean
  /** The newest first. */
  addresses: SeenAddress[]
  /** When D1 was told last; 0: never. */
  toldAtS: number
}

/** What D1 is to be told of a node. */
export interface Tidings {
  /** Null: it was told of this one. */
  osqueryVersion: string | null
  /** Where the node is by now; null: as it was told. */
  addresses: { key: string; fromS: number }[] | null
  /** Until when it was seen at those that it left. */
  left: { key: string; untilS: number }[]
}

/** Takes a ride-along. `news`: D1 is to hear of it, so it must not be forgotten. */
export function takeRide(
  before: Ridden | null,
  ride: RideAlong,
  nowS: number,
): { ridden: Ridden; news: boolean } {
  const atS = ride.atS > nowS + MAX_AHEAD_S ? nowS : ride.atS
  const ridden = before ?? nothingRidden()
  const versioned = takeVersion(ridden, ride.osqueryVersion, atS)
  const key = addressKey(ride.ip)
  const placed = key === null ? versioned : takeAddress(versioned, key, atS)
  const news =
    dueAtS(placed) !== null && (before === null || dueAtS(before) === null || isNew(before, placed))
  return { ridden: placed, news }
}

function isNew(before: Ridden, after: Ridden): boolean {
  if (before.osqueryVersion !== after.osqueryVersion) return true
  return after.addresses.some(({ key }) => before.addresses.every((known) => known.key !== key))
}

function nothingRidden(): Ridden {
  return { format: FORMAT, osqueryVersion: '', versionAtS: 0, versionTold: true, addresses: [], toldAtS: 0 }
}

function takeVersion(ridden: Ridden, osqueryVersion: string, atS: number): Ridden {
  if (osqueryVersion === '' || atS < ridden.versionAtS) return ridden
  if (osqueryVersion === ridden.osqueryVersion) return ridden
  return { ...ridden, osqueryVersion, versionAtS: atS, versionTold: false }
}

function takeAddress(ridden: Ridden, key: string, atS: number): Ridden {
  const known = ridden.addresses.find((address) => address.key === key)
  const seen = known ?? { key, fromS: atS, seenS: atS, told: false }
  const others = ridden.addresses.filter((address) => address !== known)
  const addresses = [...others, { ...seen, seenS: Math.max(seen.seenS, atS) }]
    .sort((a, b) => b.seenS - a.seenS || Number(b.key === key) - Number(a.key === key))
    .slice(0, MAX_ADDRESSES)
  return { ...ridden, addresses }
}

/** When D1 is to be told; null: there is nothing to tell. */
export function dueAtS({ addresses, versionTold, toldAtS }: Ridden): number | null {
  const isUntold = !versionTold || addresses.some(({ told }) => !told)
  const leftAtS = addresses.slice(1).map(({ seenS }) => seenS + LEFT_AFTER_S)
  const dueS = Math.min(...leftAtS, isUntold ? 0 : Number.POSITIVE_INFINITY)
  return Number.isFinite(dueS) ? Math.max(dueS, toldAtS === 0 ? 0 : toldAtS + TELL_EVERY_S) : null
}

/** What to tell D1 now, and what is kept once that is done. */
export function tidingsOf(ridden: Ridden, nowS: number): { tidings: Tidings; after: Ridden } {
  const { addresses, osqueryVersion, versionTold } = ridden
  const stays = addresses.filter(({ seenS }, at) => at === 0 || seenS + LEFT_AFTER_S > nowS)
  const left = addresses.filter((address) => !stays.includes(address))
  const moved = left.length > 0 || addresses.some(({ told }) => !told)
  return {
    tidings: {
      osqueryVersion: versionTold ? null : osqueryVersion,
      addresses: moved ? stays.map(({ key, fromS }) => ({ key, fromS })) : null,
      left: left.map((address) => ({ key: address.key, untilS: untilS(address, addresses) })),
    },
    after: {
      ...ridden,
      versionTold: true,
      addresses: stays.map((address) => ({ ...address, told: true })),
      toldAtS: nowS,
    },
  }
}

/** Until when it was there: up to where another begins, unless it was not seen anywhere between. */
function untilS({ key, seenS }: SeenAddress, addresses: readonly SeenAddress[]): number {
  const later = addresses.filter((other) => other.key !== key && other.fromS >= seenS)
  const nextS = Math.min(...later.map(({ fromS }) => fromS))
  return nextS - seenS <= SAID_AGAIN_WITHIN_S ? nextS : seenS
}

/** What is kept once D1 was told `after`, with what came meanwhile. What it left is gone, unless it was seen there since. */
export function withTold(now: Ridden, after: Ridden): Ridden {
  const told = new Set(after.addresses.map(({ key }) => key))
  const kept = now.addresses.filter(
    ({ key, seenS }, at) => told.has(key) || at === 0 || seenS > after.toldAtS,
  )
  return {
    ...now,
    versionTold: now.osqueryVersion === after.osqueryVersion,
    addresses: kept.map((address) => ({ ...address, told: told.has(address.key) })),
    toldAtS: after.toldAtS,
  }
}

/** Reads what was stored; null where it is of a format that is not known. */
export function readRidden(text: string): Ridden | null {
  const stored = JSON.parse(text) as Ridden
  return stored.format === FORMAT ? stored : null
}
