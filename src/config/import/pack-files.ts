/** The files under `packs/` as packs: one a `.conf`, `.json` or `.yaml`; one a folder of `.sql`; Fleet's as many as it has. Pure. */

import { fail, ok, type Result } from '../../lib/result.ts'
import { readConf, readJson } from './conf.ts'
import { nameOfFile } from './file-name.ts'
import { isFleet, readFleet, type FleetFile } from './fleet.ts'
import { asPack } from './pack.ts'
import type { Remark, Source, SourceFile } from './source.ts'
import { readSqlFolder } from './sql.ts'
import { readYaml } from './yaml.ts'

export interface PackFile {
  name: string
  /** Those that it was read from; the first one names it. */
  paths: string[]
  source: Source
}

interface Gathered {
  packs: PackFile[]
  fleet: FleetFile[]
  warnings: Remark[]
  faults: Remark[]
}

/** Reads them; sorted by the packs' names. */
export function packFiles(
  files: readonly SourceFile[],
): Result<{ packs: PackFile[]; warnings: Remark[] }, Remark[]> {
  const gathered: Gathered = { packs: [], fleet: [], warnings: [], faults: [] }
  const folders = new Map<string, SourceFile[]>()
  for (const file of files) {
    const [, name = '', ...below] = file.path.split('/')
    if (below.length === 0) gather(file, name, gathered)
    else if (file.path.endsWith('.sql')) folders.set(name, [...(folders.get(name) ?? []), file])
    else gathered.warnings.push(notRead(file.path))
  }
  for (const [name, sqlFiles] of folders) {
    const source = readSqlFolder(sqlFiles)
    add(gathered, `packs/${name}`, nameOfFile(name), source)
  }
  gatherFleet(gathered)
  const byName = new Map<string, PackFile>()
  for (const pack of gathered.packs) {
    const same = byName.get(pack.name)
    if (same === undefined) byName.set(pack.name, pack)
    else
      gathered.faults.push({ ...pack.source.place(''), rule: `is pack ${pack.name}, as ${same.paths[0]} is` })
  }
  if (gathered.faults.length > 0) return fail(gathered.faults)
  const packs = gathered.packs.toSorted((a, b) => (a.name < b.name ? -1 : 1))
  return ok({ packs, warnings: gathered.warnings })
}

function gather(file: SourceFile, fileName: string, gathered: Gathered): void {
  const [, stem = '', ending = ''] = /^(.*)\.([a-z]+)$/.exec(fileName) ?? []
  const name = nameOfFile(stem)
  if (ending === 'json') return add(gathered, file.path, name, readJson(file))
  if (ending === 'conf') return add(gathered, file.path, name, readConf(file))
  if (ending !== 'yaml' && ending !== 'yml') {
    gathered.warnings.push(notRead(file.path))
    return
  }
  const sources = readYaml(file)
  if (!sources.ok) {
    gathered.faults.push(...sources.reason)
    return
  }
  if (isFleet(sources.value)) gathered.fleet.push({ path: file.path, packName: name, sources: sources.value })
  else if (sources.value.length > 1) gathered.faults.push(remark(file.path, 'must be one YAML document'))
  else for (const source of sources.value) add(gathered, file.path, name, ok(source))
}

function add(gathered: Gathered, path: string, name: string, read: Result<Source, Remark[]>): void {
  const pack = read.ok ? asPack(read.value) : read
  if (pack.ok) gathered.packs.push({ name, paths: [path], source: pack.value })
  else gathered.faults.push(...pack.reason)
}

function gatherFleet(gathered: Gathered): void {
  if (gathered.fleet.length === 0) return
  const read = readFleet(gathered.fleet)
  if (!read.ok) {
    gathered.faults.push(...read.reason)
    return
  }
  gathered.warnings.push(...read.value.warnings)
  for (const { name, source } of read.value.packs) add(gathered, source.place('').file, name, ok(source))
}

function notRead(path: string): Remark {
  return remark(path, 'is not read: no .conf, .json, .yaml, and no folder of .sql')
}

function remark(file: string, rule: string): Remark {
  return { file, pointer: '', line: null, rule }
}
