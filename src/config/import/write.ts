/**
 * A version as the files of a directory, so that reading them gives its very text again: what YAML would spell another
 * way is written as JSON. Pure.
 */

import { Document, isMap, isScalar, isSeq, parseDocument, visit } from 'yaml'
import { memberTexts } from '../../lib/json-members.ts'
import { compactJson } from '../compact.ts'
import { isObject } from '../../lib/json-value.ts'
import type { NewLayer } from '../version.ts'
import { objectText, readDirectory } from './directory.ts'
import { fileNameOf } from './file-name.ts'
import type { SourceFile } from './source.ts'
import { readYaml } from './yaml.ts'

/** Writes a base document, its layers, and what the server manages of intervals (JSON; null: nothing). */
export function writeDirectory(
  document: string,
  layers: readonly NewLayer[],
  intervals: string | null = null,
): SourceFile[] {
  const layerFiles = [
    ...layers.map(layerFile),
    ...(intervals === null ? [] : [valueFile('intervals', intervals)]),
  ]
  for (const split of [splitByName, splitInPlace]) {
    const { base, packs } = split(document)
    const files = [valueFile('config', base), ...packs]
    const again = readDirectory(files)
    if (again.ok && compactJson(again.value.document) === document) return [...files, ...layerFiles]
  }
  // A name that no file can have, or spelled with escapes: the document goes into one file as it is.
  return [{ path: 'config.json', text: prettyJson(document) }, ...layerFiles]
}

interface Split {
  /** JSON text. */
  base: string
  packs: SourceFile[]
}

/** Packs that stand last and sorted need no mention in the base. */
function splitByName(document: string): Split {
  const { members, packs, files } = taken(document)
  if (files.length > 0 && files.length === packs.size) members.delete('packs')
  return { base: objectText(members), packs: files.map(({ file }) => file) }
}

/** Else the base names each file where its pack stands. */
function splitInPlace(document: string): Split {
  const { members, packs, files } = taken(document)
  for (const { name, file } of files) packs.set(name, JSON.stringify(file.path.slice('packs/'.length)))
  members.set('packs', objectText(packs))
  return { base: objectText(members), packs: files.map(({ file }) => file) }
}

/** File systems end at 255 bytes. */
const MAX_FILE_NAME = 200

function taken(document: string) {
  const members = memberTexts(document)
  const isWhole = isObject((JSON.parse(document) as { packs?: unknown }).packs)
  const packs = isWhole ? memberTexts(members.get('packs') ?? '{}') : new Map<string, string>()
  const names = new Set<string>()
  const files = [...packs].flatMap(([name, text]) => {
    const fileName = fileNameOf(name, names)
    // Such a pack stays in the base.
    if (fileName === '' || fileName.length > MAX_FILE_NAME) return []
    names.add(fileName.toLowerCase())
    return [{ name, file: { path: `packs/${fileName}.json`, text: prettyJson(text) } }]
  })
  return { members, packs, files }
}

function layerFile({ name, match, document }: NewLayer, index: number): SourceFile {
  const value = `{"match":${JSON.stringify(match)},"document":${document}}`
  return valueFile(`layers/${String(index + 1).padStart(2, '0')}-${name}`, value)
}

/** YAML where that keeps every name, number and escape; else JSON. */
function valueFile(path: string, json: string): SourceFile {
  const yaml = yamlOf(json)
  const read = readYaml({ path, text: yaml })
  const isSame = read.ok && read.value.length === 1 && read.value[0]?.json === json
  return isSame ? { path: `${path}.yaml`, text: yaml } : { path: `${path}.json`, text: prettyJson(json) }
}

/** JSON is YAML: it is read as that, and written in YAML's own style. */
function yamlOf(json: string): string {
  const document = parseDocument(json, { intAsBigInt: true, prettyErrors: false })
  if (document.errors.length > 0 || !(document instanceof Document)) return ''
  visit(document, (_key, node) => {
    if ((isMap(node) || isSeq(node)) && node.items.length > 0) node.flow = false
    if (isScalar(node) && typeof node.value === 'string') delete node.type
  })
  // Names like "on" get quotes: others' YAML may take them for something else.
  return document.toString({ lineWidth: 0, blockQuote: 'literal', compat: 'yaml-1.1' } as object)
}

const INDENT = '  '

/** Compact JSON with line ends and indents, nothing else changed. */
export function prettyJson(compact: string): string {
  let text = ''
  let depth = 0
  for (const [token] of compact.matchAll(/"(?:[^"\\]|\\.)*"|[{}[\],:]|[^"{}[\],:]+/gs)) {
    if (token === '{' || token === '[') depth += 1
    if (token === '}' || token === ']') {
      depth -= 1
      // An empty one stays on its line.
      text = /[[{]\n *$/.test(text.slice(-200)) ? text.trimEnd() : `${text}\n${INDENT.repeat(depth)}`
    }
    text += token === ':' ? ': ' : token
    if (token === ',' || token === '{' || token === '[') text += `\n${INDENT.repeat(depth)}`
  }
  return `${text}\n`
}
