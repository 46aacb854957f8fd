/** A file under `layers/`: its name, whom it is for, what it lays over the base. Pure. */

import { memberTexts } from '../../lib/json-members.ts'
import { pointerOf } from '../../lib/json-pointer.ts'
import { fail, ok, type Result } from '../../lib/result.ts'
import { LAYER_NAME, LAYER_NAME_RULE, MATCH_RULE, readMatch } from '../layer-rules.ts'
import { isObject } from '../../lib/json-value.ts'
import type { NewLayer } from '../version.ts'
import { asBase } from './pack.ts'
import type { Remark, Source } from './source.ts'

export interface LayerFile {
  layer: NewLayer
  source: Source
}

const MEMBERS: ReadonlySet<string> = new Set(['name', 'match', 'document'])

/** `layers/20-canary.yaml` is layer `canary`: a number before the name only decides the order. */
export function readLayer(path: string, source: Source): Result<LayerFile, Remark[]> {
  const value: unknown = JSON.parse(source.json)
  const faults: Remark[] = []
  const refuse = (pointer: string, rule: string) => faults.push({ ...source.place(pointer), rule })
  if (!isObject(value)) return fail([{ ...source.place(''), rule: 'must be an object' }])
  for (const member of Object.keys(value))
    if (!MEMBERS.has(member)) refuse(pointerOf([member]), 'is not known here: name, match and document are')
  const name = value['name'] ?? (path.split('/').at(-1) ?? '').replace(/\.[a-z]+$/, '').replace(/^\d+-/, '')
  if (typeof name !== 'string' || !LAYER_NAME.test(name))
    refuse('name' in value ? '/name' : '', `its name ${LAYER_NAME_RULE}`)
  const match = readMatch(value['match'])
  if (match === null) refuse('match' in value ? '/match' : '', `match ${MATCH_RULE}`)
  if (!isObject(value['document']))
    refuse('document' in value ? '/document' : '', 'document must be an object')
  if (faults.length > 0 || match === null || typeof name !== 'string') return fail(faults)
  const document = memberTexts(source.json).get('document') ?? '{}'
  const joined = asBase({ json: document, place: (at) => source.place(`/document${at}`), warnings: [] })
  if (!joined.ok) return joined
  const { json, warnings } = joined.value
  return ok({
    layer: { name, match, document: json },
    source: { ...source, warnings: [...source.warnings, ...warnings] },
  })
}
