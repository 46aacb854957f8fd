/**
 * The arguments of `npm run serve`. Knows nothing of start/local-paths.ts: that one reads where its folders are when it
 * is loaded, so it must not be loaded before --state is known.
 */

import { resolve } from 'node:path'

import { CliFailure } from '../failure.ts'
import type { StartOptions } from '../start/options.ts'
import { parseStartOptions } from '../start/options.ts'

export const SERVE_USAGE = `Usage: npm run serve -- [--port N] [--ip ADDRESS] [--state DIR]

  --port N       port to listen on, plain HTTP (8443)
  --ip ADDRESS   IP address to listen on (127.0.0.1)
  --state DIR    folder for credentials and data, instead of those that npm start uses; for load one
                 in memory (/dev/shm/...): every acknowledgement waits for the disk to sync`

export interface ServeOptions extends StartOptions {
  /** Absolute; `undefined`: what `npm start` uses. */
  stateFolder: string | undefined
}

/** `undefined`: the user asked for help. */
export function parseServeOptions(args: readonly string[]): ServeOptions | undefined {
  const { rest, folder } = takeState(args)
  const options = parseStartOptions(rest)
  if (options === undefined) return undefined
  return { ...options, stateFolder: folder === undefined ? undefined : resolve(folder) }
}

function takeState(args: readonly string[]): { rest: string[]; folder: string | undefined } {
  const rest: string[] = []
  let folder: string | undefined
  for (let i = 0; i < args.length; i += 1) {
    const arg = args[i] ?? ''
    if (arg !== '--state' && !arg.startsWith('--state=')) rest.push(arg)
    else folder = arg === '--state' ? args[(i += 1)] : arg.slice('--state='.length)
    if (folder === '' || (arg === '--state' && folder === undefined))
      throw new CliFailure('--state needs a folder.')
  }
  return { rest, folder }
}
