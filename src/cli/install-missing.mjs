// Runs before `npm start` and `npm test`: installs the dependencies when they are absent or older than the lock file.
// It is the one script that runs on the machine's own Node (20 or later), so it is plain JavaScript and imports
// nothing from node_modules; what comes after it runs on the `node` dev dependency.
import { spawnSync } from 'node:child_process'
import { statSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = join(dirname(fileURLToPath(import.meta.url)), '..', '..')

// npm rewrites this file at the end of each install that went through.
const installedAtMs = modifiedAtMs(join(root, 'node_modules', '.package-lock.json'))
const lockedAtMs = modifiedAtMs(join(root, 'package-lock.json'))

if (installedAtMs === undefined || (lockedAtMs !== undefined && installedAtMs < lockedAtMs)) {
  process.exitCode = install()
}

/** @param {string} path */
function modifiedAtMs(path) {
  return statSync(path, { throwIfNoEntry: false })?.mtimeMs
}

function install() {
  console.error('Installing what is missing (npm ci) ...')
  // --include=dev: the toolchain is a dev dependency, whatever NODE_ENV says on this machine.
  const { command, prefix } = npm()
  const result = spawnSync(
    command,
    [...prefix, 'ci', '--include=dev', '--no-audit', '--no-fund', '--loglevel=error'],
    {
      cwd: root,
      stdio: ['ignore', 'inherit', 'inherit'],
      shell: command === 'npm' && process.platform === 'win32',
    },
  )
  if (result.error) console.error(`npm could not be started: ${result.error.message}`)
  return result.status ?? 1
}

/** The npm that runs this script, else the one on the PATH. */
function npm() {
  const cli = process.env.npm_execpath
  if (cli === undefined || !basename(cli).startsWith('npm')) return { command: 'npm', prefix: [] }
  // npm's own Node: ours may lie in the very folder that npm ci removes first.
  return { command: process.env.npm_node_execpath ?? process.execPath, prefix: [cli] }
}
