/**
 * What happens when: a pure function of seed, time and what there is to break. Faults come in lanes, side by side: the
 * platform's, the objects' (every class in every mode), and junk. Deploys and kills are in the first part of the time,
 * so that memory has some time to grow in the process that is measured at the end.
 */

import { Dice } from '../../src/simulator/fleet/dice.ts'
import { JUNK, type JunkName } from './junk-names.ts'
import type { Arrangement } from './runtime.ts'
import { faultName, type ChaosState, type Fault, type FaultMode } from './worker/fault.ts'

/** Something that is so from `atMs` on for `lastsMs`, counted from the first fault. */
export interface Spell {
  readonly atMs: number
  readonly lastsMs: number
  readonly name: string
  readonly fault?: Fault
  readonly clockMs?: number
}

/** Something that happens to the process at `atMs`. */
export interface Blow {
  readonly atMs: number
  readonly name: string
  /** How long nobody listens. */
  readonly downMs: number
  /** Who runs afterwards. */
  readonly arrangement: Arrangement
}

export interface Plan {
  readonly seed: string
  readonly lastsMs: number
  readonly start: Arrangement
  readonly spells: readonly Spell[]
  readonly blows: readonly Blow[]
  readonly junk: readonly { readonly atMs: number; readonly name: JunkName }[]
}

export interface PlanOptions {
  readonly seed: string
  readonly lastsMs: number
  /** The Durable Object classes that there are. */
  readonly classes: readonly string[]
}

const OBJECT_MODES: readonly FaultMode[] = ['evict', 'throw', 'overloaded']
const PLATFORM: readonly Pick<Fault, 'target' | 'mode'>[] = [
  { target: 'd1', mode: 'fail' },
  { target: 'd1', mode: 'slow' },
  { target: 'd1', mode: 'locked' },
  { target: 'd1', mode: 'lost' },
  { target: 'r2', mode: 'fail' },
  { target: 'r2', mode: 'slow' },
  { target: 'r2', mode: 'lost' },
  { target: 'queue', mode: 'fail' },
  { target: 'consumer', mode: 'fail' },
  { target: 'consumer', mode: 'lost' },
]
const SHARES = [0.3, 0.7, 1]
/** What is called many times a second. All else is called so seldom that a fault must meet every call. */
const BUSY = new Set(['d1', 'r2', 'queue', 'object:Environment', 'object:AnswerShard'])
/**
 * A fault in a shorter slot may meet nobody (the consumer's batches are 5 s apart, presence is flushed every 15 s), one in a
 * longer slot teaches nothing new.
 */
const SLOT_MS = [10_000, 20_000] as const
/** Of a slot, so much is faulty: fleets must breathe to feel the next fault. */
const FAULTY_SHARE = [0.5, 0.8] as const
/** Blows fall in this part of the time. */
const BLOWS_UNTIL_SHARE = 0.7
const KILL_EVERY_MS = 45_000
const DOWN_MS = [200, 4_000] as const
const CLOCK_HOURS = [1, 9] as const
const JUNK_EVERY_MS = 1_500
/** Each of the huge bodies is kept in quarantine: 100 MB of this machine. */
const MAX_HUGE = 3
const HOUR_MS = 3_600_000

const OLD: Arrangement = { front: 'old', objects: 'old' }
const NEW: Arrangement = { front: 'new', objects: 'new' }

/** The plan: same options, same plan. */
export function makePlan({ seed, lastsMs, classes }: PlanOptions): Plan {
  const dice = (lane: string) => new Dice(`chaos ${seed}/${lane}`)
  const objects = classes.flatMap((name) =>
    OBJECT_MODES.map((mode) => ({ target: `object:${name}` as const, mode })),
  )
  const clocks = [1, -1]
  return {
    seed,
    lastsMs,
    start: OLD,
    spells: [
      ...lanes(dice('platform'), lastsMs, [...PLATFORM.map(faultSpell), ...clocks.map(clockSpell)]),
      ...lanes(dice('objects'), lastsMs, objects.map(faultSpell)),
    ].toSorted((a, b) => a.atMs - b.atMs),
    blows: blowsOf(dice('blows'), lastsMs),
    junk: junkOf(dice('junk'), lastsMs),
  }
}

/** What the Worker is told to break at a time; the rest of its state stays. */
export function stateAt(plan: Plan, atMs: number): Pick<ChaosState, 'clockMs' | 'faults'> {
  const present = plan.spells.filter((spell) => spell.atMs <= atMs && atMs < spell.atMs + spell.lastsMs)
  return {
    clockMs: present.reduce((sum, { clockMs = 0 }) => sum + clockMs, 0),
    faults: present.flatMap(({ fault }) => (fault === undefined ? [] : [fault])),
  }
}

/** When anything changes that {@link stateAt} tells, in order. */
export function changesOf({ spells }: Plan): number[] {
  return [...new Set(spells.flatMap(({ atMs, lastsMs }) => [atMs, atMs + lastsMs]))].sort((a, b) => a - b)
}

/** The plan as text, one line each. */
export function planText({ blows, junk, lastsMs, seed, spells }: Plan): string {
  const entries = [
    ...spells.map(({ atMs, lastsMs: ms, name }) => ({ atMs, text: `${name} for ${seconds(ms)} s` })),
    ...blows.map(({ atMs, downMs, name }) => ({ atMs, text: `${name}, ${seconds(downMs)} s down` })),
  ].toSorted((a, b) => a.atMs - b.atMs)
  const head = `seed ${seed}: ${spells.length} faults, ${blows.length} blows, ${junk.length} pieces of junk in ${seconds(lastsMs)} s`
  return [head, ...entries.map(({ atMs, text }) => `${seconds(atMs).padStart(7)}  ${text}`)].join('\n')
}

type MakeSpell = (dice: Dice) => Omit<Spell, 'atMs' | 'lastsMs'>

function faultSpell(what: Pick<Fault, 'target' | 'mode'>): MakeSpell {
  return (dice) => {
    const share = BUSY.has(what.target) ? pick(dice, SHARES) : 1
    return { name: `${faultName(what)}, ${share * 100} %`, fault: { ...what, share } }
  }
}

function clockSpell(sign: number): MakeSpell {
  return (dice) => {
    const hours = Math.round(sign * dice.between(...CLOCK_HOURS) * 10) / 10
    return { name: `clock ${hours > 0 ? '+' : ''}${hours} h`, clockMs: hours * HOUR_MS }
  }
}

/** Each kind in turn, in an order by the dice, over and over; side by side where the time is too short for one lane. */
function lanes(dice: Dice, lastsMs: number, kinds: readonly MakeSpell[]): Spell[] {
  const count = Math.max(1, Math.ceil((kinds.length * SLOT_MS[0]) / lastsMs))
  const order = shuffled(dice, kinds)
  return Array.from({ length: count }, (_, lane) =>
    laneOf(
      dice,
      lastsMs,
      order.filter((_kind, at) => at % count === lane),
    ),
  ).flat()
}

function laneOf(dice: Dice, lastsMs: number, kinds: readonly MakeSpell[]): Spell[] {
  const longestMs = Math.max(SLOT_MS[0], Math.min(SLOT_MS[1], lastsMs / Math.max(1, kinds.length)))
  const slots = Math.floor(lastsMs / longestMs)
  const slotMs = lastsMs / Math.max(1, slots)
  const spells: Spell[] = []
  let round = kinds
  for (let slot = 0; slot < slots && kinds.length > 0; slot += 1) {
    if (slot > 0 && slot % kinds.length === 0) round = shuffled(dice, kinds)
    const make = round[slot % kinds.length]
    if (make === undefined) continue
    const ms = Math.round(slotMs * dice.between(...FAULTY_SHARE))
    const atMs = Math.round(slot * slotMs + dice.next() * (slotMs - ms))
    spells.push({ atMs, lastsMs: ms, ...make(dice) })
  }
  return spells
}

/** Both mixtures of versions in an order by the dice, the new version at last; kills between them. */
function blowsOf(dice: Dice, lastsMs: number): Blow[] {
  const untilMs = lastsMs * BLOWS_UNTIL_SHARE
  const mixtures: Arrangement[] = [
    { front: 'old', objects: 'new' },
    { front: 'new', objects: 'old' },
  ]
  const deploys = [...shuffled(dice, mixtures), NEW].map((arrangement, at) => ({
    atMs: Math.round((untilMs * (at + dice.between(0.5, 0.95))) / 3),
    arrangement,
    name: `deploy: ${arrangement.front} Worker, ${arrangement.objects} objects`,
    downMs: 0,
  }))
  const count = Math.max(2, Math.floor(untilMs / KILL_EVERY_MS))
  const kills = Array.from({ length: count }, (_, at) =>
    killAt(Math.round((untilMs * (at + dice.between(0.05, 0.45))) / count), dice, deploys),
  )
  return [...deploys, ...kills].toSorted((a, b) => a.atMs - b.atMs)
}

/** A kill brings back what ran before it. */
function killAt(atMs: number, dice: Dice, deploys: readonly Blow[]): Blow {
  const arrangement = deploys.findLast((deploy) => deploy.atMs <= atMs)?.arrangement ?? OLD
  return { atMs, name: 'SIGKILL', downMs: Math.round(dice.between(...DOWN_MS)), arrangement }
}

function junkOf(dice: Dice, lastsMs: number): Plan['junk'] {
  const pieces: Plan['junk'][number][] = []
  let round: JunkName[] = []
  for (let atMs = 0; atMs < lastsMs; atMs += JUNK_EVERY_MS * dice.between(0.5, 1.5)) {
    if (round.length === 0) round = shuffled(dice, JUNK)
    const name = round.pop()
    const isEnough =
      name?.startsWith('huge') && pieces.filter((piece) => piece.name === name).length >= MAX_HUGE
    if (name !== undefined && !isEnough) pieces.push({ atMs: Math.round(atMs), name })
  }
  return pieces
}

function shuffled<T>(dice: Dice, values: readonly T[]): T[] {
  const left = [...values]
  return values.flatMap(() => left.splice(Math.floor(dice.next() * left.length), 1))
}

function pick<T>(dice: Dice, values: readonly T[]): T {
  const value = values[Math.floor(dice.next() * values.length)]
  if (value === undefined) throw new Error('nothing to pick from')
  return value
}

function seconds(ms: number): string {
  return (ms / 1_000).toFixed(1)
}
