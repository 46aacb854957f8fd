/**
 * Lays layers over a base document (JSON Merge Patch, RFC 7396): objects are merged member by member, everything else
 * replaces what was there, null takes it away. The same documents give the same text. Pure.
 */

import { pointerOf } from '../lib/json-pointer.ts'

export interface LayerDocument {
  name: string
  /** JSON text of an object. */
  document: string
}

export interface MergedDocument {
  text: string
  /** The places that a layer decided, deepest last; everything else is the base's. A null stands with its place, too. */
  origins: { pointer: string; layer: string }[]
}

/** Members in their order. What is no object stays as its text, so that no number changes. */
type Tree = Map<string, Tree> | { text: string }

/** Merges in order; a later layer wins. With no layers the text is the base's own. */
export function mergeLayers(base: string, layers: readonly LayerDocument[]): MergedDocument {
  if (layers.length === 0) return { text: base, origins: [] }
  const origins = new Map<string, string>()
  let merged = treeOf(base)
  for (const { name, document } of layers)
    merged = patch(merged, treeOf(document), [], (path) => decided(path, name, origins))
  return {
    text: textOf(merged),
    origins: [...origins].map(([pointer, layer]) => ({ pointer, layer })),
  }
}

function patch(
  target: Tree,
  change: Tree,
  path: readonly string[],
  decide: (path: readonly string[]) => void,
): Tree {
  if (!(change instanceof Map)) {
    decide(path)
    return change
  }
  const isNew = !(target instanceof Map)
  if (isNew) decide(path)
  // Below a place that is the layer's as a whole nothing has to be said.
  const decideBelow = isNew ? () => undefined : decide
  const members = new Map(isNew ? [] : target)
  for (const [name, value] of change) {
    const at = [...path, name]
    if (isNull(value)) {
      if (members.delete(name)) decideBelow(at)
    } else members.set(name, patch(members.get(name) ?? NULL, value, at, decideBelow))
  }
  return members
}

const NULL: Tree = { text: 'null' }

function isNull(tree: Tree): boolean {
  return !(tree instanceof Map) && tree.text === 'null'
}

/** A place is a layer's now, and with it everything below. */
function decided(path: readonly string[], layer: string, origins: Map<string, string>): void {
  const pointer = pointerOf(path)
  for (const known of origins.keys()) if (known.startsWith(`${pointer}/`)) origins.delete(known)
  origins.delete(pointer)
  origins.set(pointer, layer)
}

/** Built from the leaves up: the members of what is visited are trees already. */
function treeOf(text: string): Tree {
  return JSON.parse(text, (_name, value: unknown, context?: { source?: string }): Tree => {
    if (Array.isArray(value)) return { text: `[${value.map((item) => textOf(item as Tree)).join(',')}]` }
    if (typeof value === 'object' && value !== null)
      return new Map(Object.entries(value as Record<string, Tree>))
    // A scalar as it was written (JSON.parse source text access, ECMAScript 2026).
    return { text: context?.source ?? JSON.stringify(value) }
  }) as Tree
}

function textOf(tree: Tree): string {
  if (!(tree instanceof Map)) return tree.text
  return `{${[...tree].map(([name, value]) => `${JSON.stringify(name)}:${textOf(value)}`).join(',')}}`
}
