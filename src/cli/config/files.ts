/** A configuration's directory on this machine's disk. */

import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { dirname, join, sep } from 'node:path'

import type { Remark, SourceFile } from '../../config/import/source.ts'
import { strictTextOf } from '../../lib/bytes.ts'
import { CliFailure } from '../failure.ts'

/** What belongs to a configuration; anything else beside it is left alone. */
const OURS = /^(config\.(ya?ml|json|conf)|intervals\.(ya?ml|json)|packs\/.*|layers\/.*)$/
/** A directory of another kind is not read through to its end. */
const MAX_FILES = 10_000

/** Its files with `/` in their paths, sorted; those that are no UTF-8, and links, as faults. Null where there is no such folder. */
export async function readFolder(folder: string): Promise<{ files: SourceFile[]; faults: Remark[] } | null> {
  const found = await entriesIn(folder)
  if (found === null) return null
  const files: SourceFile[] = []
  const faults: Remark[] = []
  for (const { path, isLink } of found.toSorted((a, b) => (a.path < b.path ? -1 : 1))) {
    if (isLink) {
      faults.push({
        file: path,
        pointer: '',
        line: null,
        rule: 'is a symbolic link: put the file itself here',
      })
      continue
    }
    const text = strictTextOf(await readFile(join(folder, path)))
    if (text === null) faults.push({ file: path, pointer: '', line: null, rule: 'is not UTF-8' })
    else files.push({ path, text: text.replace(/^\uFEFF/, '') })
  }
  return { files, faults }
}

interface Entry {
  path: string
  /** Not followed: it may lead out of the folder, or nowhere. */
  isLink: boolean
}

async function entriesIn(folder: string): Promise<Entry[] | null> {
  const found: Entry[] = []
  try {
    for (const part of ['', 'packs', 'layers']) {
      const isRoot = part === ''
      const entries = await entriesOf(join(folder, part), !isRoot, isRoot)
      for (const entry of entries) {
        const path = isRoot ? entry.path : `${part}/${entry.path}`
        if (OURS.test(path)) found.push({ ...entry, path })
      }
    }
  } catch (error) {
    if (isMissing(error)) return null
    throw new CliFailure(
      `${folder} cannot be read: ${error instanceof Error ? error.message : String(error)}`,
    )
  }
  if (found.length > MAX_FILES) throw new CliFailure(`${folder} has more than ${MAX_FILES} files.`)
  return found
}

async function entriesOf(folder: string, recursive: boolean, mustExist: boolean): Promise<Entry[]> {
  try {
    const entries = await readdir(folder, { recursive, withFileTypes: true })
    return entries
      .filter((entry) => entry.isFile() || entry.isSymbolicLink())
      .map((entry) => ({
        path: join(entry.parentPath, entry.name)
          .slice(folder.length + 1)
          .split(sep)
          .join('/'),
        isLink: entry.isSymbolicLink(),
      }))
      .filter(({ path }) => !path.split('/').some((step) => step.startsWith('.')))
  } catch (error) {
    // A directory needs neither packs nor layers.
    if (!mustExist && isMissing(error)) return []
    throw error
  }
}

export async function writeFiles(folder: string, files: readonly SourceFile[]): Promise<void> {
  for (const { path, text } of files) {
    const target = join(folder, path)
    await mkdir(dirname(target), { recursive: true })
    await writeFile(target, text)
  }
}

export async function removeFiles(folder: string, paths: readonly string[]): Promise<void> {
  for (const path of paths) await rm(join(folder, path), { force: true })
}

function isMissing(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'ENOENT'
}
