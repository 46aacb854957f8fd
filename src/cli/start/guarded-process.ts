/**
 * Starts a program that cannot outlive us. It runs in a process group of its own, so that Ctrl-C does not reach it and we decide
 * in which order things stop; and it reads from a pipe of which we alone hold the other end (see watchdog.ts), so that
 * it ends with its whole group when we die, even by SIGKILL.
 */

import type { ChildProcessByStdio } from 'node:child_process'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import type { Readable, Writable } from 'node:stream'

import { ROOT } from './local-paths.ts'
import { signalProcess } from './processes.ts'

const WATCHDOG = join(import.meta.dirname, 'watchdog.ts')

export interface GuardedProcess {
  groupId: number
  child: ChildProcessByStdio<Writable, Readable, Readable>
  /** The exit code; `undefined` when a signal ended it. */
  ended: Promise<number | undefined>
}

export function startGuarded(
  script: string,
  args: readonly string[],
  env: NodeJS.ProcessEnv = process.env,
): GuardedProcess {
  const child = spawn(process.execPath, ['--no-warnings', '--import', WATCHDOG, script, ...args], {
    cwd: ROOT,
    env,
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
