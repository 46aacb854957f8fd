/**
 * What agents hold of configurations they had before (spec 3.1, 3.4): options, and some keys, outlive the document that
 * set them. A document that leaves one out sends osquery's default, or the empty object that clears it; where neither is
 * possible it lasts until the agent restarts. An agent's own flagfile is not known here: the default goes over it. Pure.
 */

import type { Held } from '../fleet/held.ts'
import { isPlatformFamily, type PlatformFamily } from '../fleet/platform.ts'
import { pointerOf, stepsOf } from '../lib/json-pointer.ts'
import type { VersionContent } from './content.ts'
import { COMMAND_LINE_FLAGS } from './flags.ts'
import { mergeLayers } from './merge.ts'
import {
  CLEARED_BY_EMPTY,
  LASTING_KEYS,
  LASTING_OPTIONS,
  OPTION_ALIASES,
  OPTION_DEFAULTS,
} from './osquery-defaults.ts'
import { packsOf } from './query-rules.ts'
import { isObject, objectOfText, type JsonObject } from '../lib/json-value.ts'

/** A document as it is served, and what it says only because of what was there before. */
export interface ClearedDocument {
  text: string
  cleared: { pointer: string; value: unknown }[]
  /** What agents keep until they restart, and why. */
  lasting: { pointer: string; reason: string }[]
}

/** What nodes may hold of a version. Only nodes of its platform hold what is in a platform's layer. */
export function heldOf({ document, layers }: VersionContent): Held[] {
  const base = pointersIn(document).map((pointer) => ({ pointer, platform: null }))
  const layered = layers.flatMap(({ match, document: text }) =>
    pointersIn(text).map((pointer) => ({ pointer, platform: 'platform' in match ? match.platform : null })),
  )
  return distinct([...base, ...layered])
}

/** What the nodes of one combination of layers may hold, sorted: the same document for the same history. */
export function heldUnder(
  held: readonly Held[],
  layers: readonly ({ platform: string | null } | object)[],
  mask: number,
): string[] {
  const families = layers.map(familyOf)
  const named = families.filter((family) => family !== null)
  const here = families.filter((family, index) => family !== null && (mask & (1 << index)) !== 0)
  const isPossible = (platform: PlatformFamily | null) =>
    platform === null || (here.length > 0 ? here.includes(platform) : !named.includes(platform))
  const pointers = held.filter(({ platform }) => isPossible(platform)).map(({ pointer }) => pointer)
  return [...new Set(pointers)].toSorted()
}

/** The document with what clears those held things that it does not say itself. As it was where there are none. */
export function clearHeld(text: string, held: readonly string[]): ClearedDocument {
  const document = held.length === 0 ? null : objectOfText(text)
  if (document === null) return { text, cleared: [], lasting: [] }
  const said = new Set(saidIn(document))
  const missing = held.filter((pointer) => !said.has(canonical(pointer)))
  const cleared: ClearedDocument['cleared'] = []
  const lasting: ClearedDocument['lasting'] = []
  for (const pointer of missing) {
    const way = wayBack(pointer)
    if ('value' in way) cleared.push({ pointer, value: way.value })
    else lasting.push({ pointer, reason: way.reason })
  }
  if (cleared.length === 0) return { text, cleared, lasting }
  const options = cleared.flatMap(({ pointer, value }) =>
    pointer.startsWith('/options/') ? [[stepsOf(pointer)[1] ?? '', value] as const] : [],
  )
  const keys = cleared.flatMap(({ pointer, value }) =>
    pointer.startsWith('/options/') ? [] : [[stepsOf(pointer)[0] ?? '', value] as const],
  )
  const patch: JsonObject = Object.fromEntries(keys)
  if (options.length > 0) patch['options'] = Object.fromEntries(options)
  const layer = { name: 'defaults', document: JSON.stringify(patch) }
  return { text: mergeLayers(text, [layer]).text, cleared, lasting }
}

/** Whether a thing can be taken back from an agent, and by what. */
function wayBack(pointer: string): { value: unknown } | { reason: string } {
  const [key = '', name = ''] = stepsOf(pointer)
  if (key !== 'options')
    return CLEARED_BY_EMPTY.includes(key) ? { value: {} } : { reason: 'agents have no way to take it back' }
  const value = OPTION_DEFAULTS.get(name)
  if (value !== undefined) return { value }
  return { reason: LASTING_OPTIONS.get(name) ?? "osquery's default is not known here" }
}

/** What a document, or a layer's, sets and agents keep. Packs may set it, too (spec 3.1). */
export function pointersIn(text: string): string[] {
  const document: unknown = JSON.parse(text)
  return [document, ...packObjects(document)].flatMap((part) => {
    if (!isObject(part)) return []
    const keys = [...CLEARED_BY_EMPTY, ...LASTING_KEYS].filter((key) => isFilled(part[key]))
    return [
      ...membersOf(part['options'])
        .filter(([name, value]) => isSet(value) && !COMMAND_LINE_FLAGS.has(name))
        .map(([name]) => pointerOf(['options', name])),
      ...membersOf(part['exclude_paths'])
        .filter(([, value]) => isFilled(value))
        .map(([category]) => pointerOf(['exclude_paths', category])),
      ...keys.map((key) => pointerOf([key])),
    ]
  })
}

/** What a document speaks of, so that nothing has to be cleared: an empty object is said, an empty option is not. */
function saidIn(document: unknown): string[] {
  return [document, ...packObjects(document)].flatMap((part) => {
    if (!isObject(part)) return []
    return [
      ...membersOf(part['options'])
        .filter(([, value]) => isSet(value))
        .map(([name]) => canonical(pointerOf(['options', name]))),
      ...membersOf(part['exclude_paths']).map(([category]) => pointerOf(['exclude_paths', category])),
      ...Object.keys(part).map((key) => pointerOf([key])),
    ]
  })
}

function packObjects(document: unknown): JsonObject[] {
  return isObject(document) ? packsOf(document['packs']).map(([, , pack]) => pack) : []
}

function canonical(pointer: string): string {
  const [key, name = ''] = stepsOf(pointer)
  const flag = key === 'options' ? OPTION_ALIASES.get(name) : undefined
  return flag === undefined ? pointer : pointerOf(['options', flag])
}

function membersOf(value: unknown): [string, unknown][] {
  return isObject(value) ? Object.entries(value) : []
}

/** Null takes an option away in a layer; agents skip an empty text. */
function isSet(value: unknown): boolean {
  return value !== null && value !== ''
}

function isFilled(value: unknown): boolean {
  return typeof value === 'object' && value !== null && Object.keys(value).length > 0
}

function familyOf(layer: { platform: string | null } | object): PlatformFamily | null {
  const platform = 'platform' in layer ? layer.platform : null
  return typeof platform === 'string' && isPlatformFamily(platform) ? platform : null
}

/** Each once. */
export function distinct(held: readonly Held[]): Held[] {
  return [...new Map(held.map((each) => [`${each.platform ?? ''} ${each.pointer}`, each])).values()]
}
