/**
 * `npm run serve`: the product as `npm start` runs it - same data, same credentials - but on workerd's own port and over
 * plain HTTP, without wrangler's development proxy, which manages about 1,000 requests a second. For load: simulator and
 * benchmarks. Nothing is watched: a change of the source needs a new start.
 */

import { CliFailure, runCommand } from './failure.ts'
import { SERVE_USAGE, parseServeOptions } from './serve/options.ts'

async function main(): Promise<number> {
  const options = parseServeOptions(process.argv.slice(2))
  if (options === undefined) {
    console.log(SERVE_USAGE)
    return 0
  }
  if (!options.ip.startsWith('127.') && options.ip !== '::1')
    throw new CliFailure('--ip must be a loopback address: without TLS, keys would be readable on the way.')
  if (options.stateFolder !== undefined) process.env.OSQUERY_EDGE_STATE = options.stateFolder
  // Only now: the modules behind it read the variable above when they are loaded.
  const { serve } = await import('./serve/serve.ts')
  return serve(options)
}

await runCommand(main)
