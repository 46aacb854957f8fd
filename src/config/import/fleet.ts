/**
 * Fleet's YAML as packs: `kind: pack` with its references, `kind: query` (or `report`), and GitOps' bare lists. A query
 * that no pack names and that has an interval goes into a pack named like its file, as Fleet has its `Global`. What
 * osquery has no word for is left out with a warning. Pure.
 */

import { pointerOf, stepsOf } from '../../lib/json-pointer.ts'
import { fail, ok, type Result } from '../../lib/result.ts'
import { isObject, type JsonObject } from '../../lib/json-value.ts'
import type { Remark, Source } from './source.ts'

export interface FleetFile {
  path: string
  /** The pack for queries that no pack names. */
  packName: string
  sources: readonly Source[]
}

export interface NamedPack {
  name: string
  source: Source
}

/** A value of a file and where it stands. */
interface Spec {
  file: FleetFile
  source: Source
  pointer: string
  value: JsonObject
}

/** What agents take as it is, from a query or from a pack's reference to one. */
const TAKEN = ['interval', 'platform', 'shard', 'snapshot', 'removed', 'denylist', 'version'] as const
const OF_QUERIES: ReadonlySet<string> = new Set([
  ...TAKEN,
  'name',
  'query',
  'description',
  'logging',
  'min_osquery_version',
])
/** Of a pack's reference to a query. */
const OF_REFERENCES: ReadonlySet<string> = new Set([...TAKEN, 'name', 'query', 'description'])
const OF_PACKS: ReadonlySet<string> = new Set(['name', 'description', 'platform', 'shard', 'queries', 'id'])
const KINDS_OF_QUERIES: ReadonlySet<string> = new Set(['query', 'report'])

/** Whether YAML documents are Fleet's: none of them could be a pack as osquery knows it. */
export function isFleet(sources: readonly Source[]): boolean {
  return sources.some(({ json }) => {
    const value: unknown = JSON.parse(json)
    if (Array.isArray(value)) return true
    return isObject(value) && ('kind' in value || Array.isArray(value['queries'] ?? value['reports']))
  })
}

/** The packs of all Fleet files together: a pack may name queries of another file. */
export function readFleet(
  files: readonly FleetFile[],
): Result<{ packs: NamedPack[]; warnings: Remark[] }, Remark[]> {
  const found = gather(files)
  const queries = new Map<string, Spec>()
  for (const spec of found.queries) {
    const name = textOf(spec.value['name'])
    if (name === '') found.refuse(spec, '/name', 'must have a name')
    else if (queries.has(name)) found.refuse(spec, '/name', 'is the name of another query, too')
    else queries.set(name, spec)
  }
  const named = new Set<string>()
  const packs = found.packs.map((spec) => packOf(spec, queries, named, found))
  for (const spec of queries.values()) warnOfTheRest(spec, OF_QUERIES, found)
  const rest = Map.groupBy(
    [...queries].filter(([name]) => !named.has(name)),
    ([, spec]) => spec.file,
  )
  for (const [file, entries] of rest) packs.push(restOf(file, entries, found))
  if (found.faults.length > 0) return fail(found.faults)
  return ok({ packs: packs.filter((pack) => pack !== undefined), warnings: found.warnings })
}

class Found {
  readonly packs: Spec[] = []
  readonly queries: Spec[] = []
  readonly faults: Remark[] = []
  readonly warnings: Remark[] = []

  refuse(spec: Omit<Spec, 'value'>, below: string, rule: string): void {
    this.faults.push({ ...placeIn(spec, below), rule })
  }

  warn(spec: Omit<Spec, 'value'>, below: string, rule: string): void {
    this.warnings.push({ ...placeIn(spec, below), rule })
  }
}

function gather(files: readonly FleetFile[]): Found {
  const found = new Found()
  for (const file of files)
    for (const source of file.sources) gatherFrom(file, source, JSON.parse(source.json), found)
  return found
}

function gatherFrom(file: FleetFile, source: Source, value: unknown, found: Found): void {
  const at = { file, source, pointer: '' }
  if (value === null) return
  if (Array.isArray(value)) return gatherList(at, value, found)
  if (!isObject(value)) return found.refuse(at, '', 'must be an object or a list')
  const { kind, spec } = value
  if (typeof kind !== 'string') {
    const key = Array.isArray(value['queries']) ? 'queries' : 'reports'
    return gatherList({ ...at, pointer: `/${key}` }, value[key], found)
  }
  if (kind !== 'pack' && !KINDS_OF_QUERIES.has(kind))
    return found.warn(at, '/kind', `is not imported: ${kind}`)
  if (!isObject(spec)) return found.refuse(at, '', 'must have spec, an object')
  const whole = { ...at, pointer: '/spec', value: spec }
  if (kind === 'pack') found.packs.push(whole)
  else found.queries.push(whole)
}

function gatherList(at: Omit<Spec, 'value'>, list: unknown, found: Found): void {
  if (!Array.isArray(list)) return found.refuse(at, '', 'must be a list of queries')
  for (const [index, value] of (list as unknown[]).entries()) {
    const pointer = at.pointer + pointerOf([index])
    if (isObject(value) && 'query' in value) found.queries.push({ ...at, pointer, value })
    else found.refuse(at, pointerOf([index]), 'must be a query with its text')
  }
}

function packOf(
  spec: Spec,
  queries: ReadonlyMap<string, Spec>,
  named: Set<string>,
  found: Found,
): NamedPack | undefined {
  const { value } = spec
  const name = textOf(value['name'])
  const references: unknown = value['queries'] ?? []
  if (name === '') found.refuse(spec, '/name', 'must have a name')
  if (!Array.isArray(references)) {
    found.refuse(spec, '/queries', 'must be a list')
    return undefined
  }
  const members = new Map<string, { spec: Spec; query: JsonObject }>()
  for (const [index, reference] of (references as unknown[]).entries()) {
    const pointer = `${spec.pointer}/queries/${index}`
    const wanted = isObject(reference) ? reference : {}
    const known = queries.get(textOf(wanted['query']))
    if (known === undefined) {
      found.refuse(spec, `/queries/${index}/query`, 'names a query that no file here has')
      continue
    }
    named.add(textOf(wanted['query']))
    warnOfTheRest({ ...spec, pointer, value: wanted }, OF_REFERENCES, found)
    const own = textOf(wanted['name']) || textOf(known.value['name'])
    if (members.has(own)) found.refuse(spec, `/queries/${index}`, 'has the name of another query of the pack')
    members.set(own, {
      spec: { ...spec, pointer, value: wanted },
      // The pack's own settings are those that count; the query gives its text.
      query: { ...takenOf({ ...wanted, query: known.value['query'] }), ...describedBy(wanted, known.value) },
    })
  }
  warnOfTheRest(spec, OF_PACKS, found)
  const head = Object.fromEntries(
    ['platform', 'shard', 'description']
      .filter((key) => isSaid(value[key]) && value[key] !== 0)
      .map((key) => [key, value[key]]),
  )
  return { name, source: sourceOf(spec, head, members) }
}

function restOf(
  file: FleetFile,
  entries: readonly (readonly [string, Spec])[],
  found: Found,
): NamedPack | undefined {
  const members = new Map<string, { spec: Spec; query: JsonObject }>()
  for (const [name, spec] of entries) {
    const { interval } = spec.value
    if (!isSaid(interval) || interval === 0)
      found.warn(spec, '', 'has no interval and no pack names it: it is not scheduled')
    else members.set(name, { spec, query: takenOf({ ...spec.value, ...loggedAs(spec.value) }) })
  }
  const [first] = entries
  if (first === undefined || members.size === 0) return undefined
  return { name: file.packName, source: sourceOf(first[1], {}, members) }
}

function takenOf(value: JsonObject): JsonObject {
  const taken: JsonObject = { query: value['query'] }
  for (const key of TAKEN) if (isSaid(value[key])) taken[key] = value[key]
  if (isSaid(value['min_osquery_version'])) taken['version'] = value['min_osquery_version']
  if (isSaid(value['description'])) taken['description'] = value['description']
  const { logging } = value
  if (logging === 'snapshot') taken['snapshot'] = true
  if (logging === 'differential_ignore_removals') taken['removed'] = false
  return taken
}

/** What Fleet does with a query of its own that does not say: snapshots. */
function loggedAs({ logging, snapshot, removed }: JsonObject): JsonObject {
  return [logging, snapshot, removed].some(isSaid) ? {} : { snapshot: true }
}

function describedBy(reference: JsonObject, query: JsonObject): JsonObject {
  const description = [reference['description'], query['description']].find(isSaid)
  return description === undefined ? {} : { description }
}

function warnOfTheRest(spec: Spec, known: ReadonlySet<string>, found: Found): void {
  for (const [name, value] of Object.entries(spec.value))
    if (!known.has(name) && isSaid(value))
      found.warn(spec, pointerOf([name]), 'is left out: it means something to Fleet only')
}

function sourceOf(
  spec: Spec,
  head: JsonObject,
  members: ReadonlyMap<string, { spec: Spec; query: JsonObject }>,
): Source {
  const queries = Object.fromEntries([...members].map(([name, { query }]) => [name, query]))
  return {
    json: JSON.stringify({ ...head, queries }),
    place(pointer) {
      const [key, name, ...below] = stepsOf(pointer)
      const member = key === 'queries' && name !== undefined ? members.get(name) : undefined
      if (member === undefined) return spec.source.place(spec.pointer)
      return placeIn(member.spec, pointerOf(below))
    },
    warnings: [],
  }
}

/** Where that is; the line of the whole where the file does not have it. */
function placeIn({ source, pointer }: Omit<Spec, 'value'>, below: string) {
  const exact = source.place(pointer + below)
  return exact.line === null ? { ...exact, line: source.place(pointer).line } : exact
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : ''
}

/** Fleet writes what is not set as null or an empty text. */
function isSaid(value: unknown): boolean {
  return value !== undefined && value !== null && value !== ''
}
