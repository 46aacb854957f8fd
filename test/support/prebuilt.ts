/**
 * Bundles an entry of the Worker once for all files of tests, and keeps the bundle until a source changes: bundling is
 * half of what starting a server costs.
 */

import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { runWrangler } from '../../src/cli/wrangler.ts'
import { ROOT } from './derived-config.ts'

const FOLDER = join(ROOT, '.wrangler', 'test', 'bundles')
/** What a bundle is made of. */
const SOURCES = ['src', 'test/faults', 'package-lock.json', 'wrangler.toml']
/** Bundles of sources that changed since; a run of tests that still uses one is shorter than this. */
const KEPT_MS = 3_600_000

/** The folder with the bundle of the entry that this wrangler file names; made where it is not there. */
export function prebuiltWorker(configPath: string, entry: string): string {
  const folder = join(
    FOLDER,
    createHash('sha256').update(`${entry}\n${stateOfSources()}`).digest('hex').slice(0, 16),
  )
  if (existsSync(folder)) return folder
  mkdirSync(FOLDER, { recursive: true })
  forgetOld()
  const unfinished = mkdtempSync(join(FOLDER, 'unfinished-'))
  const built = runWrangler(
    ['deploy', '--dry-run', '--config', configPath, '--outdir', unfinished],
    'collect',
  )
  if (!built.ok) throw new Error(built.output)
  try {
    renameSync(unfinished, folder)
  } catch (error) {
    // Another file of tests was faster.
    if (!existsSync(folder)) throw error
    rmSync(unfinished, { recursive: true })
  }
  return folder
}

/** Changes when a source does: paths, sizes and times of writing. */
function stateOfSources(): string {
  const files = SOURCES.flatMap((source) => {
    const path = join(ROOT, source)
    if (statSync(path).isFile()) return [path]
    return readdirSync(path, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => join(entry.parentPath, entry.name))
  })
  const stateOf = (path: string) => {
    const { mtimeMs, size } = statSync(path)
    return `${path} ${size} ${mtimeMs}`
  }
  return files.toSorted().map(stateOf).join('\n')
}

function forgetOld(): void {
  for (const name of readdirSync(FOLDER)) {
    const path = join(FOLDER, name)
    const { mtimeMs } = statSync(path, { throwIfNoEntry: false }) ?? { mtimeMs: Infinity }
    if (Date.now() - mtimeMs > KEPT_MS) rmSync(path, { recursive: true, force: true })
  }
}
