/** What `npm run serve` prints when the server is ready. */

import { relative } from 'node:path'

import { LOCAL_FILES, ROOT } from '../start/local-paths.ts'
import type { ServeOptions } from './options.ts'

export function announcement({ ip, port }: ServeOptions): string {
  const url = `http://${ip.includes(':') ? `[${ip}]` : ip}:${port}`
  const secret = shown(LOCAL_FILES.enrollSecret)
  const token = shown(LOCAL_FILES.operatorToken)
  return `
osquery-edge is ready on ${url} (bare workerd, plain HTTP, for load)

  ${secret}    what an agent enrolls with
  ${token}   the bearer token for ${url}/api/v1

A fleet, in an environment of its own, and whether everything that was acknowledged is there:

  npm run simulate -- --url ${url} --operator-token-file ${token} --nodes 1000 --minutes 1 --verify

Ctrl-C stops the server; everything is kept for the next start.
`
}

function shown(path: string): string {
  const fromRoot = relative(ROOT, path)
  return fromRoot.startsWith('..') ? path : fromRoot
}
