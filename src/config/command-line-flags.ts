/**
 * Agents ignore options that belong on their command line (spec 3.4). Written into a configuration they are kept apart:
 * no document carries them, the flagfile does. Pure.
 */

import type { FlagValue } from '../fleet/flagfile.ts'
import { memberTexts } from '../lib/json-members.ts'
import { isObject, objectOfText } from '../lib/json-value.ts'
import { COMMAND_LINE_FLAGS } from './flags.ts'

export interface KeptApart {
  /** The document without them; as it was where there are none. */
  text: string
  flags: ReadonlyMap<string, FlagValue>
}

/** Parts a document from its command line flags. What is no document stays as it is. */
export function keepFlagsApart(text: string): KeptApart {
  const named = commandLineOptionsOf(text)
  if (named.size === 0) return { text, flags: named }
  const members = memberTexts(text)
  const options = memberTexts(members.get('options') ?? '{}')
  for (const name of named.keys()) options.delete(name)
  members.set('options', objectText(options))
  return { text: objectText(members), flags: named }
}

function commandLineOptionsOf(text: string): Map<string, FlagValue> {
  const options = objectOfText(text)?.['options']
  if (!isObject(options)) return new Map()
  return new Map(
    Object.entries(options).filter(
      (option): option is [string, FlagValue] => COMMAND_LINE_FLAGS.has(option[0]) && isFlagValue(option[1]),
    ),
  )
}

function isFlagValue(value: unknown): value is FlagValue {
  return typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean'
}

/** Members keep their order and their spelling: agents hash the text (spec 3.1). */
function objectText(members: ReadonlyMap<string, string>): string {
  return `{${[...members].map(([name, value]) => `${JSON.stringify(name)}:${value}`).join(',')}}`
}
