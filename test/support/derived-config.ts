/** Wrangler files for tests: the product's own, with another entry. So that bindings are written down only once. */

import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'

const ROOT = join(import.meta.dirname, '..', '..')

/** Writes the product's wrangler.toml with `entry` (from the root) as its main file; returns where. */
export function configWithEntry(entry: string): string {
  const path = join(ROOT, '.wrangler', 'test', `${entry.replaceAll('/', '-')}.toml`)
  mkdirSync(dirname(path), { recursive: true })
  const toml = readFileSync(join(ROOT, 'wrangler.toml'), 'utf8')
    .replace('main = "src/index.ts"', `main = ${JSON.stringify(relative(dirname(path), join(ROOT, entry)))}`)
    .replaceAll(
      'migrations_dir = "migrations"',
      `migrations_dir = ${JSON.stringify(join(ROOT, 'migrations'))}`,
    )
  writeFileSync(path, toml)
  return path
}
