/**
 * A configuration's directory as one document and its layers: `config.yaml` (or .yml, .json, .conf), `packs/*`,
 * `layers/*`, and `intervals.yaml` beside them. What is written in JSON goes on byte for byte. Pure: files come in as texts.
 */

import { memberTexts } from '../../lib/json-members.ts'
import { fail, ok, type Result } from '../../lib/result.ts'
import { readIntervalBody } from '../interval-body.ts'
import { isObject } from '../../lib/json-value.ts'
import type { NewLayer } from '../version.ts'
import { readConf, readJson } from './conf.ts'
import { readLayer, type LayerFile } from './layer.ts'
import { asBase } from './pack.ts'
import { packFiles, type PackFile } from './pack-files.ts'
import { whereIs } from './places.ts'
import type { Remark, Source, SourceFile, SourcePlace } from './source.ts'
import { readYaml } from './yaml.ts'

export interface LoadedDirectory {
  /** JSON text of the base document, packs and all. */
  document: string
  layers: NewLayer[]
  /** What the server is to manage of intervals; null: no file says it. */
  intervals: Source | null
  warnings: Remark[]
  /** Where that stands which a pointer of `checkVersion` names. */
  place: (pointer: string) => SourcePlace
}

const BASE = /^config\.(ya?ml|json|conf)$/
const INTERVALS = /^intervals\.(ya?ml|json)$/
const PACK = /^packs\//
const LAYER = /^layers\/[^/]+\.(ya?ml|json|conf)$/

/** Reads a directory's files; their paths are relative to it. Refused with every fault that was found. */
export function readDirectory(files: readonly SourceFile[]): Result<LoadedDirectory, Remark[]> {
  const faults: Remark[] = []
  const warnings = notRead(files)
  const base = baseOf(files.filter(({ path }) => BASE.test(path)))
  if (!base.ok) faults.push(...base.reason)
  const packs = packFiles(files.filter(({ path }) => PACK.test(path)))
  if (!packs.ok) faults.push(...packs.reason)
  const layers = layersOf(files.filter(({ path }) => LAYER.test(path)))
  if (!layers.ok) faults.push(...layers.reason)
  const names = layers.ok ? layers.value.map(({ layer }) => layer.name) : []
  const intervals = intervalsOf(
    files.filter(({ path }) => INTERVALS.test(path)),
    names,
  )
  if (!intervals.ok) faults.push(...intervals.reason)
  if (!base.ok || !packs.ok || !layers.ok || !intervals.ok) return fail(faults)
  const composed = compose(base.value, packs.value.packs)
  if (!composed.ok) return fail(composed.reason)
  const { document, used } = composed.value
  const sources = [base.value, ...layers.value.map(({ source }) => source), ...used.values()]
  return ok({
    document,
    layers: layers.value.map(({ layer }) => layer),
    intervals: intervals.value,
    warnings: [...warnings, ...packs.value.warnings, ...sources.flatMap((source) => source.warnings)],
    place: (pointer) =>
      whereIs(pointer, {
        base: base.value,
        packs: used,
        layers: layers.value,
        intervals: intervals.value,
      }),
  })
}

/** Reads a file of one value by its ending. */
export function readValue(file: SourceFile): Result<Source, Remark[]> {
  if (file.path.endsWith('.json')) return readJson(file)
  if (file.path.endsWith('.conf')) return readConf(file)
  const read = readYaml(file)
  if (!read.ok) return read
  const [source, ...more] = read.value
  if (source === undefined) return refused(file.path, 'is empty')
  return more.length === 0 ? ok(source) : refused(file.path, 'must be one YAML document')
}

function baseOf(files: readonly SourceFile[]): Result<Source, Remark[]> {
  const [file, another] = files
  if (file === undefined) return refused('config.yaml', 'is missing: the base document (or .json, .conf)')
  if (another !== undefined)
    return refused(another.path, `is a base document, and so is ${file.path}: there must be one`)
  const source = readValue(file)
  return source.ok ? asBase(source.value) : source
}

function layersOf(files: readonly SourceFile[]): Result<LayerFile[], Remark[]> {
  const faults: Remark[] = []
  const layers: LayerFile[] = []
  for (const file of files.toSorted((a, b) => (a.path < b.path ? -1 : 1))) {
    const source = readValue(file)
    const layer = source.ok ? readLayer(file.path, source.value) : source
    if (!layer.ok) faults.push(...layer.reason)
    else if (layers.some((known) => known.layer.name === layer.value.layer.name))
      faults.push({ ...layer.value.source.place(''), rule: 'has the name of another layer' })
    else layers.push(layer.value)
  }
  return faults.length > 0 ? fail(faults) : ok(layers)
}

/** What the server manages beside the configuration, by the rules of the admin route. */
function intervalsOf(
  files: readonly SourceFile[],
  layerNames: readonly string[],
): Result<Source | null, Remark[]> {
  const [file, another] = files
  if (file === undefined) return ok(null)
  if (another !== undefined) return refused(another.path, `says intervals, and so does ${file.path}`)
  const source = readValue(file)
  if (!source.ok) return source
  const { json, place } = source.value
  const read = readIntervalBody(JSON.parse(json), layerNames)
  if (read.ok) return source
  return fail(read.reason.map(({ pointer, detail }) => ({ ...place(pointer), rule: detail })))
}

/** Puts the packs into the base: where a text names a file, its place is kept; the others come last, by name. */
function compose(
  base: Source,
  files: readonly PackFile[],
): Result<{ document: string; used: Map<string, Source> }, Remark[]> {
  const used = new Map<string, Source>()
  const inline = (JSON.parse(base.json) as { packs?: unknown }).packs
  if (inline !== undefined && !isObject(inline))
    return fail([{ ...base.place('/packs'), rule: 'must be an object' }])
  const named = inline === undefined ? [] : Object.entries(inline)
  if (files.length === 0 && named.every(([, pack]) => typeof pack !== 'string'))
    return ok({ document: base.json, used })
  const members = memberTexts(base.json)
  const packs = memberTexts(members.get('packs') ?? '{}')
  const faults: Remark[] = []
  const taken = new Set<PackFile>()
  const refuse = (name: string, rule: string) =>
    faults.push({ ...base.place(`/packs/${name.replaceAll('~', '~0').replaceAll('/', '~1')}`), rule })
  for (const [name, value] of named) {
    if (typeof value !== 'string') continue
    const file = files.find(({ paths }) => paths.includes(fileNamed(value)))
    if (file === undefined) {
      refuse(name, `agents cannot fetch a pack over TLS: put its file here, as ${fileNamed(value)}`)
      continue
    }
    taken.add(file)
    used.set(name, file.source)
    packs.set(name, file.source.json)
  }
  for (const file of files) {
    if (taken.has(file)) continue
    if (packs.has(file.name)) refuse(file.name, `is in ${file.paths[0]}, too`)
    used.set(file.name, file.source)
    packs.set(file.name, file.source.json)
  }
  if (faults.length > 0) return fail(faults)
  members.set('packs', objectText(packs))
  return ok({ document: objectText(members), used })
}

/** osquery's own way to name a pack's file is an absolute path: its last part is looked for under packs/. */
function fileNamed(value: string): string {
  return `packs/${value.replaceAll('\\', '/').split('/').at(-1) ?? ''}`
}

/** A JSON object of members that are JSON texts already. */
export function objectText(members: ReadonlyMap<string, string>): string {
  return `{${[...members].map(([name, value]) => `${JSON.stringify(name)}:${value}`).join(',')}}`
}

function notRead(files: readonly SourceFile[]): Remark[] {
  return files
    .filter(({ path }) => path.startsWith('layers/') && !LAYER.test(path))
    .map(({ path }) => ({
      file: path,
      pointer: '',
      line: null,
      rule: 'is not read: no .yaml, .json or .conf',
    }))
}

function refused(file: string, rule: string): Result<never, Remark[]> {
  return fail([{ file, pointer: '', line: null, rule }])
}
