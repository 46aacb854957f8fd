/** Runs npm scripts as somebody would from a shell in a folder: none of what our own npm put into the environment. */

import type { ChildProcessByStdio } from 'node:child_process'
import { spawn } from 'node:child_process'
import { basename, delimiter, dirname } from 'node:path'
import type { Readable } from 'node:stream'

export type NpmProcess = ChildProcessByStdio<null, Readable, Readable>

/** Starts `npm …` in a process group of its own, whose id is the process's. */
export function spawnNpm(folder: string, args: readonly string[]): NpmProcess {
  return spawn('npm', args, {
    cwd: folder,
    env: userEnvironment(process.env),
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
  })
}

/** The environment without npm's own variables, and the PATH without the folders that npm puts before it. */
export function userEnvironment(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  const kept = Object.entries(env).filter(([name]) => !/^npm_|^INIT_CWD$|^NODE$/.test(name))
  const path = (env.PATH ?? '').split(delimiter).filter((folder) => !isNpmFolder(folder))
  return { ...Object.fromEntries(kept), PATH: path.join(delimiter) }
}

function isNpmFolder(folder: string): boolean {
  const name = basename(folder)
  return (name === '.bin' && basename(dirname(folder)) === 'node_modules') || name === 'node-gyp-bin'
}
