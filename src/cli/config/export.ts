/** `npm run config -- export`: the newest version as files. What says the same already stays as its author wrote it. */

import { compactJson } from '../../config/compact.ts'
import { readDirectory } from '../../config/import/directory.ts'
import type { SourceFile } from '../../config/import/source.ts'
import { writeDirectory } from '../../config/import/write.ts'
import { readIntervalBody } from '../../config/interval-body.ts'
import { LAYER_NAME, readMatch } from '../../config/layer-rules.ts'
import type { NewLayer } from '../../config/version.ts'
import { MANAGED_OPTIONS } from '../../fleet/intervals.ts'
import { itemTexts, memberTexts } from '../../lib/json-members.ts'
import { CliFailure } from '../failure.ts'
import { readFolder, removeFiles, writeFiles } from './files.ts'
import type { ServerReply } from './server.ts'
import { intervalsShape, shaped } from './shapes.ts'

interface Content {
  document: string
  layers: NewLayer[]
  /** JSON; null: nothing is managed. */
  intervals: string | null
}

export interface Exported {
  written: string[]
  removed: string[]
  /** Whether the folder said the same before. */
  unchanged: boolean
}

/** Writes a version into a folder. Files that say something else are only touched with `force`. */
export async function exportInto(
  folder: string,
  version: ServerReply,
  intervals: ServerReply,
  force: boolean,
): Promise<Exported> {
  const read = contentOf(version.text)
  const names = read.layers.map(({ name }) => name)
  const content = { ...read, intervals: intervalsOf(intervals.text, names) }
  const present = (await readFolder(folder)) ?? { files: [], faults: [] }
  if (present.faults.length === 0 && saysTheSame(present.files, content))
    return { written: [], removed: [], unchanged: true }
  const files = writeDirectory(content.document, content.layers, content.intervals)
  const known = new Map(present.files.map(({ path, text }) => [path, text]))
  const written = files.filter(({ path, text }) => known.get(path) !== text)
  const wanted = new Set(files.map(({ path }) => path))
  const paths = [...known.keys(), ...present.faults.map(({ file }) => file)]
  const removed = paths.filter((path) => !wanted.has(path))
  const lost = [...written.map(({ path }) => path).filter((path) => paths.includes(path)), ...removed]
  if (lost.length > 0 && !force)
    throw new CliFailure(
      `Nothing was written: with --force these would be overwritten or removed:\n  ${lost.toSorted().join('\n  ')}`,
    )
  await removeFiles(folder, removed)
  await writeFiles(folder, written)
  return { written: written.map(({ path }) => path), removed, unchanged: false }
}

function saysTheSame(files: readonly SourceFile[], content: Content): boolean {
  const read = files.length === 0 ? null : readDirectory(files)
  if (read === null || !read.ok || read.value.layers.length !== content.layers.length) return false
  const { document, layers, intervals } = read.value
  return (
    (intervals === null ? null : compactIntervals(intervals.json)) === content.intervals &&
    compactJson(document) === content.document &&
    layers.every((layer, index) => textOf(layer) === textOf(content.layers[index]))
  )
}

function textOf(layer: NewLayer | undefined): string {
  return layer === undefined ? '' : JSON.stringify([layer.name, layer.match, compactJson(layer.document)])
}

/** What the server manages, in one spelling. It remembers layers that are gone: no file may name those. */
function intervalsOf(text: string, layerNames: readonly string[]): string | null {
  const { managed, layers, ...all } = shaped(intervalsShape, text)
  if (!managed) return null
  const base = Object.fromEntries(MANAGED_OPTIONS.map((option) => [option, all[option]]))
  const present = Object.entries(layers).filter(([name]) => layerNames.includes(name))
  return compactIntervals(JSON.stringify({ ...base, layers: Object.fromEntries(present) }))
}

/** Null where a file says that nothing is managed. */
function compactIntervals(json: string): string | null {
  const value = JSON.parse(json) as { layers?: object }
  const read = readIntervalBody(value, Object.keys(value.layers ?? {}))
  if (!read.ok || read.value.base === null) return null
  const { base, layers } = read.value
  return JSON.stringify(Object.keys(layers).length === 0 ? base : { ...base, layers })
}

/** The documents' texts as the server keeps them. */
function contentOf(text: string): Omit<Content, 'intervals'> {
  const members = memberTexts(text)
  const document = members.get('document')
  if (document === undefined)
    throw new CliFailure('The server answered something that is not understood here.')
  const layers = itemTexts(members.get('layers') ?? '[]').map((layer) => {
    const facts = memberTexts(layer)
    const name: unknown = JSON.parse(facts.get('name') ?? 'null')
    const match = readMatch(JSON.parse(facts.get('match') ?? 'null'))
    // A name becomes a path: a server may not choose where on this machine.
    if (typeof name !== 'string' || !LAYER_NAME.test(name) || match === null)
      throw new CliFailure('The server has a layer that is not understood here.')
    return { name, match, document: facts.get('document') ?? '{}' }
  })
  return { document, layers }
}
