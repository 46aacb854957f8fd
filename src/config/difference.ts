/** What changed between two configuration documents, member by member. Pure. */

import { pointerOf } from '../lib/json-pointer.ts'
import { isObject } from '../lib/json-value.ts'

/** One place that differs. Lists and scalars differ as a whole. */
export type Change =
  | { pointer: string; change: 'added'; after: unknown }
  | { pointer: string; change: 'removed'; before: unknown }
  | { pointer: string; change: 'changed'; before: unknown; after: unknown }

/** The changes from one document to another, in the order of the members of the new one, then what was removed. */
export function differenceOf(before: unknown, after: unknown): Change[] {
  return [...changesAt([], before, after)]
}

function* changesAt(path: readonly string[], before: unknown, after: unknown): Generator<Change> {
  if (!isObject(before) || !isObject(after)) {
    if (JSON.stringify(before) !== JSON.stringify(after))
      yield { pointer: pointerOf(path), change: 'changed', before, after }
    return
  }
  for (const [name, value] of Object.entries(after)) {
    const at = [...path, name]
    if (Object.hasOwn(before, name)) yield* changesAt(at, before[name], value)
    else yield { pointer: pointerOf(at), change: 'added', after: value }
  }
  for (const [name, value] of Object.entries(before)) {
    if (!Object.hasOwn(after, name))
      yield { pointer: pointerOf([...path, name]), change: 'removed', before: value }
  }
}
