/**
 * Scheduled queries that are paused: left out of what agents get, and of nothing else. A version of the configuration
 * keeps them. They go by the name in log lines: all that have it are meant. Pure.
 */

import { pointerOf } from '../lib/json-pointer.ts'
import { mergeLayers } from './merge.ts'
import { scheduledNamesOf } from './scheduled-names.ts'
import { isObject, objectOfText } from '../lib/json-value.ts'

export interface WithoutPaused {
  text: string
  /** What was left out: its name and its place. */
  paused: { name: string; pointer: string }[]
}

/** The document without them; as it was where it has none of them, or is no object. */
export function withoutPaused(text: string, names: ReadonlySet<string>): WithoutPaused {
  const document = names.size === 0 ? null : objectOfText(text)
  if (document === null) return { text, paused: [] }
  const found = scheduledNamesOf(document).filter(({ full }) => names.has(full))
  if (found.length === 0) return { text, paused: [] }
  // A null takes a member away (RFC 7396).
  const patch = {}
  for (const { path } of found) setNull(patch, path)
  return {
    text: mergeLayers(text, [{ name: 'paused', document: JSON.stringify(patch) }]).text,
    paused: found.map(({ full, path }) => ({ name: full, pointer: pointerOf(path) })),
  }
}

function setNull(into: Record<string, unknown>, path: readonly string[]): void {
  const [step, ...rest] = path
  if (step === undefined) return
  if (rest.length === 0) return void Object.defineProperty(into, step, MEMBER_NULL)
  const known = Object.hasOwn(into, step) ? into[step] : undefined
  const inner = isObject(known) ? known : {}
  // Names are anything, `__proto__` too: defined, not assigned.
  Object.defineProperty(into, step, { ...MEMBER_NULL, value: inner })
  setNull(inner, rest)
}

const MEMBER_NULL = { value: null, enumerable: true, writable: true, configurable: true }
