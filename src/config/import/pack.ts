/** What stands in a pack's file, made what osquery takes: lists of platforms become texts (field notes 7.3). Pure. */

import { pointerOf } from '../../lib/json-pointer.ts'
import { fail, ok, type Result } from '../../lib/result.ts'
import { mergeLayers } from '../merge.ts'
import { isObject, type JsonObject } from '../../lib/json-value.ts'
import type { Remark, Source } from './source.ts'

/** Keys that only a whole configuration has. */
const NOT_OF_A_PACK = ['schedule', 'packs'] as const

/** Checks that a file is one pack. Its members are checked with the whole configuration. */
export function asPack(source: Source): Result<Source, Remark[]> {
  const pack: unknown = JSON.parse(source.json)
  if (!isObject(pack)) return fail([{ ...source.place(''), rule: 'must be an object' }])
  const foreign = NOT_OF_A_PACK.filter((key) => Object.hasOwn(pack, key))
  if (foreign.length > 0)
    return fail(
      foreign.map((key) => ({
        ...source.place(`/${key}`),
        rule: 'belongs to a whole configuration, not to a pack: put it into config.yaml',
      })),
    )
  return ok(joinPlatforms(source, packPatch(pack)))
}

/** The same for the base document: its schedule, and packs that are written in it. */
export function asBase(source: Source): Result<Source, Remark[]> {
  const base: unknown = JSON.parse(source.json)
  if (!isObject(base)) return fail([{ ...source.place(''), rule: 'must be an object' }])
  const packs = isObject(base['packs']) ? base['packs'] : {}
  const patch = {
    ...memberIf('schedule', queriesPatch(base['schedule'])),
    ...memberIf(
      'packs',
      membersPatch(packs, (pack) => (isObject(pack) ? packPatch(pack) : {})),
    ),
  }
  return ok(joinPlatforms(source, patch))
}

function joinPlatforms(source: Source, patch: JsonObject): Source {
  const pointers = leavesOf(patch, '')
  if (pointers.length === 0) return source
  const { text } = mergeLayers(source.json, [{ name: 'platforms', document: JSON.stringify(patch) }])
  const warnings = pointers.map((pointer) => ({
    ...source.place(pointer),
    rule: 'is a list, which agents do not know: it was joined into a text',
  }))
  return { ...source, json: text, warnings: [...source.warnings, ...warnings] }
}

function packPatch(pack: JsonObject): JsonObject {
  return { ...platformPatch(pack), ...memberIf('queries', queriesPatch(pack['queries'])) }
}

function queriesPatch(queries: unknown): JsonObject {
  return membersPatch(queries, (query) => (isObject(query) ? platformPatch(query) : {}))
}

function membersPatch(value: unknown, patchOf: (member: unknown) => JsonObject): JsonObject {
  if (!isObject(value)) return {}
  return Object.assign(
    {},
    ...Object.entries(value).map(([name, member]) => memberIf(name, patchOf(member))),
  ) as JsonObject
}

function platformPatch({ platform }: JsonObject): JsonObject {
  const isList = Array.isArray(platform) && platform.every((each) => typeof each === 'string')
  return isList ? { platform: platform.join(',') } : {}
}

function memberIf(name: string, patch: JsonObject): JsonObject {
  return Object.keys(patch).length === 0 ? {} : { [name]: patch }
}

function leavesOf(value: unknown, pointer: string): string[] {
  if (!isObject(value)) return [pointer]
  return Object.entries(value).flatMap(([name, member]) => leavesOf(member, pointer + pointerOf([name])))
}
