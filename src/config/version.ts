/**
 * A version of an environment's configuration, whole: a base document and layers over it. Valid where each combination
 * of layers that a node may get is a document that agents can live with. Pure.
 */

import { MAX_COMBINATIONS, possibleMasks, type LayerMatch } from '../fleet/layers.ts'
import { fail, ok, type Result } from '../lib/result.ts'
import { compactJson } from './compact.ts'
import { readDocumentFacts } from './document-facts.ts'
import { mergeLayers, type MergedDocument } from './merge.ts'
import type { Finding } from './report.ts'
import { reservedNames } from './reserved-names.ts'
import { objectOfText, type JsonObject } from '../lib/json-value.ts'
import { checkConfiguration, type Rejection } from './validate.ts'

export interface NewLayer {
  name: string
  match: LayerMatch
  /** JSON text. */
  document: string
}

export interface CheckedVersion {
  document: string
  bytes: number
  /** Compacted, in their order. */
  layers: NewLayer[]
  warnings: Finding[]
}

/**
 * Checks a base and its layers. A fault of the base has its pointer; a fault that only a combination has begins with the
 * names of its layers, e.g. `/layers/linux+canary/schedule/a`. `served` makes of a combination's document what agents
 * get.
 */
export function checkVersion(
  base: string,
  layers: readonly NewLayer[],
  served: (merged: MergedDocument, mask: number) => string = ({ text }) => text,
): Result<CheckedVersion, Rejection> {
  const checkedBase = checkConfiguration(base)
  if (!checkedBase.ok) return checkedBase
  const compacted: NewLayer[] = []
  for (const layer of layers) {
    if (objectOfText(layer.document) === null)
      return invalid([{ pointer: `/layers/${layer.name}`, detail: 'must be a JSON object' }])
    // Merged, only the last of two members of one name would be left, without a word.
    const twice = readDocumentFacts(layer.document).duplicates
    if (twice.length > 0)
      return invalid(
        twice.map((pointer) => ({ pointer: `/layers/${layer.name}${pointer}`, detail: 'stands here twice' })),
      )
    compacted.push({ ...layer, document: compactJson(layer.document) })
  }
  const masks = possibleMasks(compacted.map(({ match }) => match))
  if (masks.length > MAX_COMBINATIONS) {
    const detail = `${masks.length} combinations of layers are possible, more than ${MAX_COMBINATIONS}`
    return invalid([{ pointer: '/layers', detail }])
  }
  const reserved = [
    ...reservedNames(JSON.parse(base) as JsonObject),
    ...compacted.flatMap(({ name, document }) =>
      reservedNames(JSON.parse(document) as JsonObject).map(({ pointer, detail }) => ({
        pointer: `/layers/${name}${pointer}`,
        detail,
      })),
    ),
  ]
  if (reserved.length > 0) return invalid(reserved)
  const { compact, bytes, warnings } = checkedBase.value
  const found = new Findings(warnings)
  for (const mask of masks) {
    const chosen = compacted.filter((_layer, index) => (mask & (1 << index)) !== 0)
    const text = served(mergeLayers(compact, chosen), mask)
    if (text === compact) continue
    const checked = checkConfiguration(text)
    const names = chosen.map(({ name }) => name).join('+')
    if (checked.ok) found.warn(names, checked.value.warnings)
    else if (checked.reason.kind === 'invalid') found.refuse(names, checked.reason.errors)
  }
  return found.errors.length > 0
    ? invalid(found.errors)
    : ok({ document: compact, bytes, layers: compacted, warnings: found.warnings })
}

/** Findings of combinations: each once, where the fewest layers show it. */
class Findings {
  readonly warnings: Finding[]
  readonly errors: Finding[] = []
  readonly #seen: Set<string>

  constructor(warnings: readonly Finding[]) {
    this.warnings = [...warnings]
    this.#seen = new Set(warnings.map(textOf))
  }

  warn(names: string, findings: readonly Finding[]): void {
    this.#add(this.warnings, names, findings)
  }

  refuse(names: string, findings: readonly Finding[]): void {
    this.#add(this.errors, names, findings)
  }

  #add(list: Finding[], names: string, findings: readonly Finding[]): void {
    for (const finding of findings) {
      if (this.#seen.has(textOf(finding))) continue
      this.#seen.add(textOf(finding))
      list.push({ ...finding, pointer: `${names === '' ? '' : `/layers/${names}`}${finding.pointer}` })
    }
  }
}

function textOf({ pointer, detail }: Finding): string {
  return `${pointer} ${detail}`
}

function invalid(errors: Finding[]): Result<never, Rejection> {
  return fail({ kind: 'invalid', errors })
}
