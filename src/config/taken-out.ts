/** What a change takes out that agents keep: what the server will send in its place, and what lasts until a restart. Pure. */

import { possibleMasks } from '../fleet/layers.ts'
import type { Held } from '../fleet/held.ts'
import type { VersionContent } from './content.ts'
import { clearHeld, pointersIn, type ClearedDocument } from './held.ts'
import { mergeLayers } from './merge.ts'
import { isObject, type JsonObject } from '../lib/json-value.ts'

export type TakenOut = Pick<ClearedDocument, 'cleared' | 'lasting'>

/** Compares each combination of the old layers with what the same layers make of the new version. */
export function takenOut(
  before: VersionContent,
  after: VersionContent,
  mayBeHeld: readonly Held[],
): TakenOut {
  const known = new Set(mayBeHeld.map(({ pointer }) => pointer))
  const cleared = new Map<string, ClearedDocument['cleared'][number]>()
  const lasting = new Map<string, ClearedDocument['lasting'][number]>()
  const old = stickyPart(before)
  const wanted = stickyPart(after)
  for (const mask of possibleMasks(before.layers.map(({ match }) => match))) {
    const had = old.layers.filter((_layer, index) => (mask & (1 << index)) !== 0)
    const names = new Set(had.map(({ name }) => name))
    const has = wanted.layers.filter(({ name }) => names.has(name))
    const held = pointersIn(mergeLayers(old.document, had).text).filter((pointer) => known.has(pointer))
    const gone = clearHeld(mergeLayers(wanted.document, has).text, [...new Set(held)].toSorted())
    for (const each of gone.cleared) cleared.set(each.pointer, each)
    for (const each of gone.lasting) lasting.set(each.pointer, each)
  }
  return { cleared: [...cleared.values()], lasting: [...lasting.values()] }
}

/** A version without its queries, which are most of it: it is merged up to 64 times here. */
function stickyPart({ document, layers }: VersionContent): VersionContent {
  return {
    document: withoutQueries(document),
    layers: layers.map((layer) => ({ ...layer, document: withoutQueries(layer.document) })),
  }
}

function withoutQueries(text: string): string {
  const { schedule: _schedule, packs, ...rest } = JSON.parse(text) as JsonObject
  if (packs === undefined) return JSON.stringify(rest)
  const kept = isObject(packs)
    ? Object.fromEntries(Object.entries(packs).map(([name, pack]) => [name, withoutQueriesOf(pack)]))
    : packs
  return JSON.stringify({ ...rest, packs: kept })
}

function withoutQueriesOf(pack: unknown): unknown {
  if (!isObject(pack)) return pack
  const { queries: _queries, ...rest } = pack
  return rest
}
