/**
 * A throw-away copy of this checkout, as if freshly cloned and installed: the walk must touch neither the user's `.local/` and
 * `.wrangler/` nor a server that runs from them, and edits made meanwhile must not reload the server under test.
 */

import { cp, mkdtemp, realpath, rm, symlink } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { ROOT } from '../start/local-paths.ts'

/** What `npm start` and `npm run agent` need of a clone. */
const PARTS = [
  'package.json',
  'package-lock.json',
  '.npmrc',
  'tsconfig.json',
  'wrangler.toml',
  'src',
  'migrations',
]
const INSTALLED = 'node_modules'

export interface CheckoutCopy {
  folder: string
  remove(): Promise<void>
}

export async function copyCheckout(): Promise<CheckoutCopy> {
  // Real: macOS's temporary folder is a link, and tools would name it in two ways.
  const folder = await realpath(await mkdtemp(join(tmpdir(), 'osquery-edge-walk-')))
  // Times are kept: install-missing.mjs compares the lock file's with that of the installation.
  for (const part of PARTS)
    await cp(join(ROOT, part), join(folder, part), { recursive: true, preserveTimestamps: true })
  await symlink(join(ROOT, INSTALLED), join(folder, INSTALLED), 'dir')
  // rm does not follow the link to the installation.
  return { folder, remove: () => rm(folder, { recursive: true, force: true, maxRetries: 3 }) }
}
