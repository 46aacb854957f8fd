/** Reads and checks a directory, and says what is wrong with it where it stands. */

import { readDirectory, type LoadedDirectory } from '../../config/import/directory.ts'
import type { Remark } from '../../config/import/source.ts'
import type { Finding } from '../../config/report.ts'
import { checkVersion } from '../../config/version.ts'
import { fail, ok, type Result } from '../../lib/result.ts'
import { CliFailure } from '../failure.ts'
import { readFolder } from './files.ts'

export interface Checked {
  loaded: LoadedDirectory
  warnings: Remark[]
}

/** A directory that can be stored; or everything that is wrong with it. */
export async function loadFolder(folder: string): Promise<Result<Checked, Remark[]>> {
  const read = await readFolder(folder)
  if (read === null) throw new CliFailure(`There is no folder ${folder}.`)
  const loaded = readDirectory(read.files)
  const faults = [...read.faults, ...(loaded.ok ? [] : loaded.reason)]
  if (!loaded.ok || faults.length > 0) return fail(faults)
  const { document, layers, place, warnings } = loaded.value
  const checked = checkVersion(document, layers)
  if (checked.ok)
    return ok({
      loaded: loaded.value,
      warnings: [...warnings, ...remarksOf(checked.value.warnings, place)],
    })
  if (checked.reason.kind === 'not-json') return fail([{ ...place(''), rule: 'is not JSON' }])
  return fail(remarksOf(checked.reason.errors, place))
}

/** Findings with their places in files. */
export function remarksOf(findings: readonly Finding[], place: LoadedDirectory['place']): Remark[] {
  return findings.map(({ pointer, detail }) => ({ ...place(pointer), rule: detail }))
}

/** What plan and apply are sent: the documents as they are written. */
export function bodyOf({ document, layers, intervals }: LoadedDirectory, more: object = {}): string {
  const layerTexts = layers.map(
    ({ name, match, document: text }) =>
      `${JSON.stringify({ name, match }).slice(0, -1)},"document":${text}}`,
  )
  const rest = JSON.stringify(more).slice(1)
  const said = intervals === null ? '' : `,"intervals":${intervals.json}`
  return `{"document":${document},"layers":[${layerTexts.join(',')}]${said}${rest === '}' ? '' : ','}${rest}`
}
