/** The environment variables that wrangler gets on this machine. */

import { readFileSync } from 'node:fs'
import { parseEnv } from 'node:util'

import { wranglerQuietly } from '../wrangler.ts'
import { LOCAL_FILES } from './local-paths.ts'

/** No telemetry, update check, fetched `Request.cf` or log files outside the project: a start needs no network. */
export function localEnvironment(): NodeJS.ProcessEnv {
  return {
    ...wranglerQuietly(),
    // wrangler would let a SIGNING_KEYS of the caller's environment win over its --env-file.
    ...parseEnv(readFileSync(LOCAL_FILES.secrets, 'utf8')),
    // Would choose a deployment's environment for the local server.
    CLOUDFLARE_ENV: undefined,
    WRANGLER_WRITE_LOGS: 'false',
    // Shared between all projects of a user by default: two clones would find each other's Workers.
    WRANGLER_REGISTRY_PATH: '.wrangler/registry',
    CLOUDFLARE_CF_FETCH_ENABLED: 'false',
  }
}
