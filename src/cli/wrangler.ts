/** Runs wrangler's command line: arguments as a list, never as shell text. */

import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'

import { ROOT } from './start/local-paths.ts'

/** The script behind the `wrangler` command; started with our own Node, whatever the PATH says. */
export const WRANGLER = fileURLToPath(
  import.meta.resolve('wrangler/package.json').replace(/package\.json$/, 'bin/wrangler.js'),
)

export interface WranglerResult {
  ok: boolean
  /** What it printed; empty if it printed to the terminal itself. */
  output: string
}

/** `show`: it prints to the terminal. Never asks: there may be nobody to answer. It reads `input`, if there is any. */
export function runWrangler(
  args: readonly string[],
  output: 'show' | 'collect',
  input?: string,
): WranglerResult {
  const stdin = input === undefined ? 'ignore' : 'pipe'
  const result = spawnSync(process.execPath, ['--no-warnings', WRANGLER, ...args], {
    cwd: ROOT,
    encoding: 'utf8',
    env: wranglerQuietly(),
    ...(input === undefined ? {} : { input }),
    stdio: output === 'show' ? [stdin, 'inherit', 'inherit'] : [stdin, 'pipe', 'pipe'],
  })
  const printed = output === 'show' ? '' : `${result.stdout}${result.stderr}`
  return { ok: result.status === 0, output: printed }
}

/** Our environment, with wrangler's telemetry and update check (part of its banner) off. */
export function wranglerQuietly(): NodeJS.ProcessEnv {
  return { ...process.env, WRANGLER_HIDE_BANNER: 'true', WRANGLER_SEND_METRICS: 'false' }
}
