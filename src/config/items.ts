/** A version as things with names - options, queries, packs, other keys, layers - and what a change does to each. Pure. */

import type { VersionContent } from './content.ts'
import { packsOf } from './query-rules.ts'
import { isObject, type JsonObject } from '../lib/json-value.ts'

export const ITEM_KINDS = ['option', 'query', 'pack', 'key', 'layer'] as const
export type ItemKind = (typeof ITEM_KINDS)[number]

/** Something with a name. A query's pack is null in the schedule. */
export interface Item {
  kind: ItemKind
  pack?: string | null
  name: string
}

export type ItemChange = Item & { change: 'created' | 'updated' | 'deleted' }
export type Counts = Record<ItemKind, Record<'created' | 'updated' | 'unchanged' | 'deleted', number>>

/** Of a pack it compares what is not its queries; of a layer everything, its place among the others too. */
export function compareItems(
  before: VersionContent,
  after: VersionContent,
): { counts: Counts; items: ItemChange[] } {
  const old = itemsOf(before)
  const wanted = itemsOf(after)
  const counts = Object.fromEntries(
    ITEM_KINDS.map((kind) => [kind, { created: 0, updated: 0, unchanged: 0, deleted: 0 }]),
  ) as Counts
  const items: ItemChange[] = []
  const count = (item: Item, change: ItemChange['change'] | 'unchanged') => {
    counts[item.kind][change] += 1
    if (change !== 'unchanged') items.push({ ...item, change })
  }
  for (const [key, { item, text }] of wanted) {
    const known = old.get(key)
    count(item, known === undefined ? 'created' : known.text === text ? 'unchanged' : 'updated')
  }
  for (const [key, { item }] of old) if (!wanted.has(key)) count(item, 'deleted')
  return { counts, items }
}

function itemsOf({ document, layers }: VersionContent): Map<string, { item: Item; text: string }> {
  const items = new Map<string, { item: Item; text: string }>()
  const add = (item: Item, value: unknown) =>
    items.set(JSON.stringify([item.kind, item.pack ?? null, item.name]), {
      item,
      text: JSON.stringify(value),
    })
  const { options, schedule, packs, ...others } = JSON.parse(document) as JsonObject
  for (const [name, value] of membersOf(options)) add({ kind: 'option', name }, value)
  for (const [name, value] of membersOf(schedule)) add({ kind: 'query', pack: null, name }, value)
  for (const [, pack, { queries, ...rest }] of packsOf(packs)) {
    add({ kind: 'pack', name: pack }, rest)
    for (const [name, value] of membersOf(queries)) add({ kind: 'query', pack, name }, value)
  }
  for (const [name, value] of Object.entries(others)) add({ kind: 'key', name }, value)
  for (const [position, layer] of layers.entries())
    add({ kind: 'layer', name: layer.name }, [position, layer.match, layer.document])
  return items
}

function membersOf(value: unknown): [string, unknown][] {
  return isObject(value) ? Object.entries(value) : []
}
