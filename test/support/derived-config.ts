/** Wrangler files for tests: the product's own, changed in few places. So that bindings are written down only once. */

import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'

export const ROOT = join(import.meta.dirname, '..', '..')
const FOLDER = join(ROOT, '.wrangler', 'test')

/** Writes the product's wrangler.toml with `entry` (from the root) as its main file; returns where. */
export function configWithEntry(entry: string): string {
  const toml = readFileSync(join(ROOT, 'wrangler.toml'), 'utf8')
    .replace('main = "src/index.ts"', `main = ${JSON.stringify(join(ROOT, entry))}`)
    .replaceAll(
      'migrations_dir = "migrations"',
      `migrations_dir = ${JSON.stringify(join(ROOT, 'migrations'))}`,
    )
  return write(`${entry.replaceAll('/', '-')}.toml`, toml)
}

/** Writes a derived wrangler file again with queues that wait for a batch so long instead of 5 s. */
export function configWithQueueWait(configPath: string, queueWaitS: number): string {
  const toml = readFileSync(configPath, 'utf8').replaceAll(
    'max_batch_timeout = 5',
    `max_batch_timeout = ${queueWaitS}`,
  )
  return write(`queues-${queueWaitS}-${basename(configPath)}`, toml)
}

/** In one step: files of tests that run at the same time write and read the same one. */
function write(name: string, toml: string): string {
  const path = join(FOLDER, name)
  mkdirSync(dirname(path), { recursive: true })
  const unfinished = `${path}.${process.pid}`
  writeFileSync(unfinished, toml)
  renameSync(unfinished, path)
  return path
}
