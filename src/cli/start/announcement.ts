/** What `npm start` prints when the server is ready: commands that work when pasted from the project's folder. */

import { relative } from 'node:path'

import { LOCAL_FILES, ROOT } from './local-paths.ts'
import type { StartOptions } from './options.ts'
import { DEFAULT_PORT, publicUrl } from './options.ts'

export function announcement(options: StartOptions): string {
  const url = publicUrl(options)
  const certificate = shown(LOCAL_FILES.certificate)
  const operatorToken = shown(LOCAL_FILES.operatorToken)
  const flagfile = shown(LOCAL_FILES.flagfile)
  const curl = `curl --cacert ${certificate} -H "Authorization: Bearer $(cat ${operatorToken})"`
  const environment = `${url}/api/v1/environments/default`
  const query = '{"sql":"SELECT name, version FROM os_version","targets":{"all":true},"expiresInSeconds":300}'
  return `
osquery-edge is ready on ${url}

  ${flagfile}   flags for an osqueryd on this machine
  ${shown(LOCAL_FILES.enrollSecret)}   what an agent enrolls with
  ${certificate}      the certificate to trust
  ${operatorToken}  the bearer token for ${url}/api/v1

An agent (osqueryd, or the simulated one):

  sudo osqueryd --flagfile ${flagfile}
  ${agentCommand(options)}

A live query, and its results under the id that it returns (…/queries/ID/results):

  ${curl} -H 'Content-Type: application/json' -d '${query}' ${environment}/queries

The newest log lines:

  ${curl} '${environment}/logs?limit=5'

Ctrl-C stops the server; everything is kept for the next start.
`
}

/** The simulated agent looks for the default port by itself. */
function agentCommand(options: StartOptions): string {
  const isDefault = options.port === DEFAULT_PORT
  return isDefault ? 'npm run agent' : `npm run agent -- --url ${publicUrl(options)}`
}

function shown(path: string): string {
  return relative(ROOT, path)
}
