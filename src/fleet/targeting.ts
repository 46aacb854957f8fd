/**
 * Which nodes an operator means: an expression of objects with exactly one key. Whatever is not understood is a fault,
 * never a wider set (a typing error must not run a query on a whole fleet). Pure.
 */

import { addressRange } from '../lib/ip-address.ts'
import { pointerOf } from '../lib/json-pointer.ts'
import { fail, ok, type Result } from '../lib/result.ts'
import { macKey, userKey } from './inventory-snapshot.ts'
import { readVersionRange } from './version-range.ts'

/** The keys whose value is a list of texts. */
export const LISTED_TARGETS = [
  'platforms',
  'tags',
  'nodes',
  'hostnames',
  'serials',
  'uuids',
  'ips',
  'macs',
  'users',
] as const
export type ListedTarget = (typeof LISTED_TARGETS)[number]

/** Targets as operators write them and as queries keep them. */
export type Targets =
  | { all: true }
  | { platforms: string[] }
  | { tags: string[] }
  | { nodes: string[] }
  | { hostnames: string[] }
  | { serials: string[] }
  | { uuids: string[] }
  /** Addresses, or networks in CIDR form: a node's own, and where its requests come from. */
  | { ips: string[] }
  | { macs: string[] }
  /** Who was logged in when it was last looked at. */
  | { users: string[] }
  /** A release, or a comparison with one: `5.12.1`, `>=5.10`. */
  | { osqueryVersion: string }
  | { online: boolean }
  /** A share of the fleet in percent, the same nodes each time: a larger one holds a smaller one. */
  | { percent: number }
  /** The name of a saved node set. */
  | { nodeSet: string }
  | { anyOf: Targets[] }
  | { allOf: Targets[] }
  | { not: Targets }

/** A fault at a JSON pointer inside the targets, e.g. `/nodes/0`. */
export interface TargetFault {
  pointer: string
  detail: string
}

/** Ample for a person or a program; each leaf costs a statement. */
const MAX_DEPTH = 8
const MAX_TERMS = 100
/** One list goes to D1 as one parameter, of which a text has 2 MB at most (D1 limits). */
const MAX_LIST_VALUES = 20_000
const MAX_VALUE_CHARACTERS = 256

const KINDS = [
  'all',
  ...LISTED_TARGETS,
  'osqueryVersion',
  'online',
  'percent',
  'nodeSet',
  'anyOf',
  'allOf',
  'not',
] as const
type Kind = (typeof KINDS)[number]
const EXPECTED = `one of ${KINDS.join(', ')}`

/** Reads targets. A value that a list repeats means no more than once. */
export function readTargets(value: unknown): Result<Targets, TargetFault[]> {
  const reader = new TargetReader()
  const targets = reader.read(value, [], 1)
  return targets === null ? fail(reader.faults) : ok(targets)
}

class TargetReader {
  readonly faults: TargetFault[] = []
  #terms = 0

  /** Null where there are faults; they are noted then. */
  read(value: unknown, path: readonly PropertyKey[], depth: number): Targets | null {
    this.#terms += 1
    if (this.#terms > MAX_TERMS) return this.#fault(path, `makes more than ${MAX_TERMS} terms`)
    if (depth > MAX_DEPTH) return this.#fault(path, `is nested deeper than ${MAX_DEPTH}`)
    if (typeof value !== 'object' || value === null || Array.isArray(value))
      return this.#fault(path, `must be an object with one key: ${EXPECTED}`)
    const entries = Object.entries(value as Record<string, unknown>)
    const unknown = entries.filter(([key]) => !isKind(key))
    for (const [key] of unknown) this.#fault([...path, key], `is not a kind of target: ${EXPECTED}`)
    if (unknown.length > 0) return null
    const [first, second] = entries
    if (first === undefined) return this.#fault(path, `must have one key: ${EXPECTED}`)
    if (second !== undefined)
      return this.#fault(path, 'must have exactly one key: combine several with allOf or anyOf')
    const [key, operand] = first
    return isKind(key) ? this.#readKind(key, operand, [...path, key], depth) : null
  }

  #readKind(kind: Kind, operand: unknown, path: readonly PropertyKey[], depth: number): Targets | null {
    switch (kind) {
      case 'all':
        return operand === true ? { all: true } : this.#fault(path, 'must be true')
      case 'online':
        return typeof operand === 'boolean' ? { online: operand } : this.#fault(path, 'must be true or false')
      case 'percent':
        return isShare(operand)
          ? { percent: operand }
          : this.#fault(path, 'must be a number over 0 and at most 100')
      case 'osqueryVersion':
        return typeof operand === 'string' && readVersionRange(operand) !== null
          ? { osqueryVersion: operand }
          : this.#fault(path, 'must be a version like 5.12.1, or a comparison like >=5.10')
      case 'nodeSet':
        return typeof operand === 'string' && operand !== ''
          ? { nodeSet: operand }
          : this.#fault(path, 'must be the name of a saved node set')
      case 'not': {
        const inner = this.read(operand, path, depth + 1)
        return inner === null ? null : { not: inner }
      }
      case 'anyOf':
      case 'allOf':
        return this.#readTerms(kind, operand, path, depth)
      default:
        return this.#readList(kind, operand, path)
    }
  }

  #readTerms(
    kind: 'anyOf' | 'allOf',
    operand: unknown,
    path: readonly PropertyKey[],
    depth: number,
  ): Targets | null {
    if (!Array.isArray(operand) || operand.length === 0)
      return this.#fault(path, 'must be a list of targets that is not empty')
    const terms: Targets[] = []
    for (const [index, item] of operand.entries()) {
      if (this.#terms > MAX_TERMS) return null
      const term = this.read(item, [...path, index], depth + 1)
      if (term !== null) terms.push(term)
    }
    if (terms.length < operand.length) return null
    return kind === 'anyOf' ? { anyOf: terms } : { allOf: terms }
  }

  #readList(key: ListedTarget, value: unknown, path: readonly PropertyKey[]): Targets | null {
    if (!Array.isArray(value)) return this.#fault(path, 'must be a list of texts')
    if (value.length === 0) return this.#fault(path, 'must not be empty')
    if (value.length > MAX_LIST_VALUES) return this.#fault(path, `has more than ${MAX_LIST_VALUES} values`)
    const before = this.faults.length
    for (const [index, item] of value.entries()) {
      if (typeof item !== 'string' || item === '')
        this.#fault([...path, index], 'must be a text that is not empty')
      else if (item.length > MAX_VALUE_CHARACTERS)
        this.#fault([...path, index], `is longer than ${MAX_VALUE_CHARACTERS} characters`)
      else if (key === 'ips' && addressRange(item) === null)
        this.#fault([...path, index], 'is neither an address nor a network in CIDR form')
      else if (key === 'macs' && macKey(item) === null) this.#fault([...path, index], 'is no MAC')
    }
    return this.faults.length > before ? null : ({ [key]: value as string[] } as Targets)
  }

  #fault(path: readonly PropertyKey[], detail: string): null {
    this.faults.push({ pointer: pointerOf(path), detail })
    return null
  }
}

/** The list of targets that have one. */
export function listOf(targets: Targets): { key: ListedTarget; values: string[] } | null {
  for (const key of LISTED_TARGETS) {
    const values = (targets as Partial<Record<ListedTarget, string[]>>)[key]
    if (values !== undefined) return { key, values }
  }
  return null
}

const SINGULAR: Record<ListedTarget, string> = {
  platforms: 'platform',
  tags: 'tag',
  nodes: 'node',
  hostnames: 'hostname',
  serials: 'hardware serial',
  uuids: 'hardware UUID',
  ips: 'address',
  macs: 'MAC',
  users: 'logged-in user',
}

/** Hardware UUIDs, serials, MACs and users are written in either case; the rest is as it is. */
export function comparedAs(key: ListedTarget, value: string): string {
  if (key === 'macs') return macKey(value) ?? value
  if (key === 'users') return userKey(value)
  return key === 'serials' || key === 'uuids' ? value.toLowerCase() : value
}

/** A fault for each listed value that nothing in the environment has. `known` holds values as they are compared. */
export function unknownValues(
  list: { key: ListedTarget; values: readonly string[] },
  known: ReadonlySet<string>,
): TargetFault[] {
  return list.values.flatMap((value, index) =>
    known.has(comparedAs(list.key, value))
      ? []
      : [
          {
            pointer: `/${list.key}/${index}`,
            detail: `there is no such ${SINGULAR[list.key]} in this environment`,
          },
        ],
  )
}

function isKind(key: string): key is Kind {
  return KINDS.some((kind) => kind === key)
}

function isShare(value: unknown): value is number {
  return typeof value === 'number' && value > 0 && value <= 100
}
