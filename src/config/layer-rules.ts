/** What a layer of a configuration may be called and whom it may be for. Pure. */

import type { LayerMatch } from '../fleet/layers.ts'
import { isPlatformFamily } from '../fleet/platform.ts'
import { isObject } from '../lib/json-value.ts'

export const LAYER_NAME = /^[a-z0-9][a-z0-9._-]{0,62}$/
export const LAYER_NAME_RULE = 'must match [a-z0-9][a-z0-9._-]{0,62}'
export const MATCH_RULE = 'must be {"platform": …}, {"tag": …} or {"nodeSet": …}'

/** Reads a match as it is written; null where it is none. Whether there is such a node set is not known here. */
export function readMatch(value: unknown): LayerMatch | null {
  if (!isObject(value)) return null
  const [entry, ...more] = Object.entries(value)
  if (entry === undefined || more.length > 0) return null
  const [key, text] = entry
  if (typeof text !== 'string' || text === '') return null
  if (key === 'platform') return isPlatformFamily(text) ? { platform: text } : null
  if (key === 'tag') return { tag: text }
  return key === 'nodeSet' ? { nodeSet: text } : null
}
