/** What a version of a configuration is made of. Pure. */

import type { NewLayer } from './version.ts'

export interface VersionContent {
  /** JSON text of the base document. */
  document: string
  /** In their order: a later one wins. */
  layers: readonly NewLayer[]
}

/** A version as one value, so that changes of layers have pointers too: `/layers/linux/document/schedule/…`. */
export function asOneValue({ document, layers }: VersionContent): unknown {
  const base = JSON.parse(document) as Record<string, unknown>
  if (layers.length === 0) return base
  const byName = layers.map(({ name, match, document: text }, position) => [
    name,
    { position, match, document: JSON.parse(text) as unknown },
  ])
  return { ...base, layers: Object.fromEntries(byName) as unknown }
}
