/**
 * Which nodes an operator means. Exactly one key; whatever is not understood is a fault, never a wider set (a typing
 * error must not run a query on a whole fleet). Pure.
 */

import { pointerOf } from '../lib/json-pointer.ts'
import { fail, ok, type Result } from '../lib/result.ts'

/** Targets as operators write them and as queries keep them. */
export type Targets =
  | { all: true }
  | { platforms: string[] }
  | { tags: string[] }
  | { nodes: string[] }
  | { hostnames: string[] }

/** The keys whose value is a list. */
export const LISTED_TARGETS = ['platforms', 'tags', 'nodes', 'hostnames'] as const
export type ListedTarget = (typeof LISTED_TARGETS)[number]

/** A fault at a JSON pointer inside the targets, e.g. `/nodes/0`. */
export interface TargetFault {
  pointer: string
  detail: string
}

/** Reads targets. A value that a list repeats means no more than once. */
export function readTargets(value: unknown): Result<Targets, TargetFault[]> {
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    return fault('', 'must be an object with one key: all, platforms, tags, nodes or hostnames')
  const entries = Object.entries(value as Record<string, unknown>)
  const unknown = entries.filter(([key]) => key !== 'all' && !isListedTarget(key))
  if (unknown.length > 0) {
    return fail(unknown.map(([key]) => ({ pointer: pointerOf([key]), detail: 'is not a kind of target' })))
  }
  const [first, second] = entries
  if (first === undefined) return fault('', 'must have one key: all, platforms, tags, nodes or hostnames')
  if (second !== undefined) return fault('', 'must have exactly one key')
  const [key, operand] = first
  if (!isListedTarget(key)) return operand === true ? ok({ all: true }) : fault('/all', 'must be true')
  return readList(key, operand)
}

function readList(key: ListedTarget, value: unknown): Result<Targets, TargetFault[]> {
  if (!Array.isArray(value)) return fault(`/${key}`, 'must be a list of texts')
  if (value.length === 0) return fault(`/${key}`, 'must not be empty')
  const faults = value.flatMap((item: unknown, index) =>
    typeof item === 'string' && item !== ''
      ? []
      : [{ pointer: `/${key}/${index}`, detail: 'must be a text that is not empty' }],
  )
  return faults.length > 0 ? fail(faults) : ok({ [key]: value as string[] } as Targets)
}

/** The list of targets that have one. */
export function listOf(targets: Targets): { key: ListedTarget; values: string[] } | null {
  for (const key of LISTED_TARGETS) {
    const values = (targets as Partial<Record<ListedTarget, string[]>>)[key]
    if (values !== undefined) return { key, values }
  }
  return null
}

const SINGULAR = { platforms: 'platform', tags: 'tag', nodes: 'node', hostnames: 'hostname' } as const

/** A fault for each listed value that nothing in the environment has. */
export function unknownValues(
  list: { key: ListedTarget; values: readonly string[] },
  known: ReadonlySet<string>,
): TargetFault[] {
  return list.values.flatMap((value, index) =>
    known.has(value)
      ? []
      : [
          {
            pointer: `/${list.key}/${index}`,
            detail: `there is no such ${SINGULAR[list.key]} in this environment`,
          },
        ],
  )
}

function isListedTarget(key: string): key is ListedTarget {
  return LISTED_TARGETS.some((listed) => listed === key)
}

function fault(pointer: string, detail: string): Result<never, TargetFault[]> {
  return fail([{ pointer, detail }])
}
