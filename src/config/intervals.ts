/**
 * Intervals that the server manages: an environment's choice, and a layer's over it. They are part of no version of the
 * configuration. What operators write into a document, its layers or packs wins for the nodes that get it. Pure.
 */

import {
  isIntervalSeconds,
  isManagedOption,
  MANAGED_OPTIONS,
  type IntervalSettings,
  type ManagedOption,
  type WholeIntervals,
} from '../fleet/intervals.ts'
import type { IntervalPlaces, SaidInterval } from '../fleet/interval-edits.ts'
import { textOf, utf8, type Bytes } from '../lib/bytes.ts'
import { memberPlaces } from '../lib/json-members.ts'
import { pointerOf } from '../lib/json-pointer.ts'
import type { VersionContent } from './content.ts'
import { mergeLayers } from './merge.ts'
import type { Finding } from './report.ts'
import { isObject } from '../lib/json-value.ts'

export interface ManagedIntervals {
  /** Null: the server manages none. */
  base: WholeIntervals | null
  /** By the name of a layer; of several that a node is in the last one counts, as for documents. */
  layers: Readonly<Record<string, IntervalSettings>>
}

export const NOT_MANAGED: ManagedIntervals = { base: null, layers: {} }
const FORMAT = 1

/** What D1 holds. */
export function textOfIntervals({ base, layers }: ManagedIntervals): string {
  return base === null ? '{}' : JSON.stringify({ format: FORMAT, base, layers })
}

/** Reads what D1 holds. What makes no sense is left out; without all three of the base nothing is managed. */
export function readIntervals(text: string): ManagedIntervals {
  const stored: unknown = JSON.parse(text)
  if (!isObject(stored) || stored['format'] !== FORMAT) return NOT_MANAGED
  const base = settingsOf(stored['base'])
  if (!isWhole(base)) return NOT_MANAGED
  const layers = isObject(stored['layers']) ? Object.entries(stored['layers']) : []
  return { base, layers: Object.fromEntries(layers.map(([name, value]) => [name, settingsOf(value)])) }
}

/** What the nodes of these layers, in their order, get; null: the server manages none. */
export function intervalsUnder(
  { base, layers }: ManagedIntervals,
  names: readonly string[],
): WholeIntervals | null {
  if (base === null) return null
  const own = names.flatMap((name) => (Object.hasOwn(layers, name) ? [layers[name]] : []))
  return Object.assign({}, base, ...own) as WholeIntervals
}

/** Pointers of what the server says as long as it manages intervals (config/held.ts). */
export const MANAGED_POINTERS: readonly string[] = MANAGED_OPTIONS.map((option) =>
  pointerOf(['options', option]),
)

/** The document with those intervals that it does not say itself. As it was where there are none, or it is no object. */
export function withIntervals(
  text: string,
  intervals: WholeIntervals | null,
): { text: string; managed: ManagedOption[] } {
  const places = intervals === null ? null : intervalPlaces(utf8(text), [])
  if (intervals === null || places === null) return { text, managed: [] }
  const managed = MANAGED_OPTIONS.filter((option) => places.said.every((each) => each.option !== option))
  if (managed.length === 0) return { text, managed }
  const options = Object.fromEntries(managed.map((option) => [option, intervals[option]]))
  const layer = { name: 'intervals', document: JSON.stringify({ options }) }
  return { text: mergeLayers(text, [layer]).text, managed }
}

/** Where operators' documents say themselves how often nodes come, which wins over what is managed. */
export function overruledIntervals({ document, layers }: VersionContent): Finding[] {
  const documents = [
    { whose: 'the base', at: [], text: document },
    ...layers.map(({ name, document: text }) => ({ whose: `layer ${name}`, at: ['layers', name], text })),
  ]
  return documents.flatMap(({ whose, at, text }) => {
    const bytes = utf8(text)
    const said = intervalPlaces(bytes, [])?.said ?? []
    return (
      said
        // In a layer a null takes away what the base says: then it is managed.
        .filter(({ from, to }) => textOf(bytes.subarray(from, to)) !== 'null')
        .map(({ option, seconds }) => ({
          pointer: pointerOf([...at, 'options', option]),
          detail: `${whose} says ${seconds ?? 'no number'}: that wins over the managed interval, and is not spread`,
        }))
    )
  })
}

/** Where a document speaks of intervals: its own options, and those of its packs. Null where it is no object. */
export function intervalPlaces(document: Bytes, managed: readonly ManagedOption[]): IntervalPlaces | null {
  const root = memberPlaces(document)
  if (root === null) return null
  const options = root.get('options')
  const said = options === undefined ? [] : saidIn(document, options, managed)
  const packs = root.get('packs')
  const packed = packs === undefined ? [] : saidInPacks(document, packs)
  const own = options === undefined ? null : objectAt(document, options)
  const all = [...said, ...packed].toSorted((a, b) => a.from - b.from)
  if (own !== null && options !== undefined)
    return {
      said: all,
      addAt: options.from + 1,
      addBefore: '',
      addAfter: isEmpty(memberPlaces(own)) ? '' : ',',
    }
  // Options that are no object are another's fault; agents take the last of two members of one name.
  return {
    said: all,
    addAt: document.indexOf(OPEN_BRACE) + 1,
    addBefore: '"options":{',
    addAfter: isEmpty(root) ? '}' : '},',
  }
}

function isEmpty(members: ReadonlyMap<string, unknown> | null): boolean {
  return members === null || members.size === 0
}

const OPEN_BRACE = 0x7b

interface Place {
  from: number
  to: number
}

function objectAt(document: Bytes, { from, to }: Place): Bytes | null {
  return document[from] === OPEN_BRACE ? document.subarray(from, to) : null
}

function saidIn(document: Bytes, at: Place, managed: readonly ManagedOption[]): SaidInterval[] {
  const options = objectAt(document, at)
  if (options === null) return []
  return [...(memberPlaces(options) ?? [])].flatMap(([option, { from, to }]) => {
    if (!isManagedOption(option)) return []
    const seconds = secondsOf(textOf(options.subarray(from, to)))
    return [{ option, from: at.from + from, to: at.from + to, seconds, managed: managed.includes(option) }]
  })
}

/** Packs may set options, too (spec 3.1); a pack called `*` holds packs (spec 3.3). */
function saidInPacks(document: Bytes, at: Place): SaidInterval[] {
  const packs = objectAt(document, at)
  if (packs === null) return []
  return [...(memberPlaces(packs) ?? [])].flatMap(([name, place]) => {
    const here = { from: at.from + place.from, to: at.from + place.to }
    const pack = objectAt(document, here)
    if (pack === null) return []
    if (name === '*') return saidInPacks(document, here)
    const options = memberPlaces(pack)?.get('options')
    if (options === undefined) return []
    return saidIn(document, { from: here.from + options.from, to: here.from + options.to }, [])
  })
}

/** A number, or a text of one, as agents take it. Null where it is said and no number: then agents skip it, or refuse it. */
function secondsOf(valueText: string): number | null {
  const value: unknown = JSON.parse(valueText)
  const seconds = typeof value === 'string' && value.trim() !== '' ? Number(value) : value
  return typeof seconds === 'number' && Number.isInteger(seconds) && seconds > 0 ? seconds : null
}

function settingsOf(value: unknown): IntervalSettings {
  if (!isObject(value)) return {}
  const known = MANAGED_OPTIONS.filter((option) => isIntervalSeconds(value[option]))
  return Object.fromEntries(known.map((option) => [option, value[option]]))
}

function isWhole(settings: IntervalSettings): settings is WholeIntervals {
  return MANAGED_OPTIONS.every((option) => settings[option] !== undefined)
}
