/**
 * Starts a program that cannot outlive us. It runs in a process group of its own, so that Ctrl-C does not reach it and we decide
 * in which order things stop; and it reads from a pipe of which we alone hold the other end (see watchdog.ts), so that
 * it ends with its whole group when we die, even by SIGKILL.
 */

import type { ChildProcessByStdio } from 'node:child_process'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Readable, Writable } from 'node:stream'
import { parseEnv } from 'node:util'

import { LOCAL_FILES, ROOT } from './local-paths.ts'
import { signalProcess } from './processes.ts'

const WATCHDOG = join(import.meta.dirname, 'watchdog.ts')

export interface GuardedProcess {
  groupId: number
  child: ChildProcessByStdio<Writable, Readable, Readable>
  /** The exit code; `undefined` when a signal ended it. */
  ended: Promise<number | undefined>
}

export function startGuarded(script: string, args: readonly string[]): GuardedProcess {
  const child = spawn(process.execPath, ['--no-warnings', '--import', WATCHDOG, script, ...args], {
    cwd: ROOT,
    env: wranglerEnvironment(),
    detached: true,
    stdio: ['pipe', 'pipe', 'pipe'],
  })
  // The pipe is never written to; it breaks when the child ends.
  child.stdin.on('error', () => undefined)
  if (child.pid === undefined) throw new Error(`${script} could not be started`)
  const ended = once(child, 'exit').then(([code]: unknown[]) => (typeof code === 'number' ? code : undefined))
  return { groupId: child.pid, child, ended }
}

export function killGroup(groupId: number): void {
  signalProcess(-groupId, 'SIGKILL')
}

/** No telemetry, update check, fetched `Request.cf` or log files outside the project: a start needs no network. */
export function wranglerEnvironment(): NodeJS.ProcessEnv {
  return {
    ...process.env,
    // wrangler would let a SIGNING_KEYS of the caller's environment win over its --env-file.
    ...parseEnv(readFileSync(LOCAL_FILES.secrets, 'utf8')),
    // Would choose a deployment's environment for the local server.
    CLOUDFLARE_ENV: undefined,
    WRANGLER_SEND_METRICS: 'false',
    WRANGLER_HIDE_BANNER: 'true',
    WRANGLER_WRITE_LOGS: 'false',
    // Shared between all projects of a user by default: two clones would find each other's Workers.
    WRANGLER_REGISTRY_PATH: '.wrangler/registry',
    CLOUDFLARE_CF_FETCH_ENABLED: 'false',
  }
}
