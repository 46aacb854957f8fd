/** Makes the resources that a deployment must find: the database (for its migrations) and the queues that only a consumer names. */

import { join } from 'node:path'

import { unstable_readConfig } from 'wrangler'

import { CliFailure } from '../failure.ts'
import { ROOT } from '../start/local-paths.ts'
import { runWrangler } from '../wrangler.ts'
import type { Deployment } from './options.ts'

/** wrangler itself makes the R2 buckets and queues that the Worker is bound to. */
export function ensureResources(deployment: Deployment): void {
  const config = unstable_readConfig(
    { config: join(ROOT, 'wrangler.toml'), env: deployment },
    { hideWarnings: true },
  )
  for (const { database_name: name } of config.d1_databases) if (name !== undefined) ensure('d1', name)
  for (const { queue } of config.queues.consumers ?? []) ensure('queues', queue)
}

function ensure(kind: 'd1' | 'queues', name: string): void {
  if (runWrangler([kind, 'info', name], 'collect').ok) return
  // It may also be that `info` failed for want of a login: then this fails too, and says so.
  const made = runWrangler([kind, 'create', name], 'collect')
  if (!made.ok)
    throw new CliFailure(`"${name}" (${kind}) is neither there nor can it be made:\n${made.output}`)
  console.log(`made ${kind} ${name}`)
}
