/** How long objects of the archive bucket live: R2 ends them by key prefix, so that no code has to (design 3). */

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { unstable_readConfig } from 'wrangler'

import { RETENTION_CLASSES } from '../../logs/retention.ts'
import { CliFailure } from '../failure.ts'
import { ROOT } from '../start/local-paths.ts'
import { runWrangler } from '../wrangler.ts'
import type { Deployment } from './options.ts'

const DAY_S = 86_400

/** Prefixes and days. Log lines lie under `logs/r<days>/`, by the retention of their environment and type. */
const LIFETIMES: readonly { prefix: string; days: number }[] = [
  ...RETENTION_CLASSES.map((days) => ({ prefix: `logs/r${days}/`, days })),
  { prefix: 'quarantine/', days: 90 },
  { prefix: 'sink-quarantine/', days: 90 },
  // Results of live queries are erased with their query, a year after it closed at the latest; this ends what was lost.
  { prefix: 'results/', days: 400 },
  // Raw copies of large writes are deleted with their request; this ends what a crash left.
  { prefix: 'incoming/', days: 1 },
]

/** The rules in the form of R2's API (Set Object Lifecycle). */
export function lifecycleRules(): object {
  return {
    rules: LIFETIMES.map(({ prefix, days }) => ({
      id: `${prefix.replaceAll('/', '-')}${days}-days`,
      enabled: true,
      conditions: { prefix },
      deleteObjectsTransition: { condition: { type: 'Age', maxAge: days * DAY_S } },
    })),
  }
}

/** Sets the rules on the deployment's archive bucket. Throws CliFailure. */
export function setLifecycle(deployment: Deployment): void {
  const options = { config: join(ROOT, 'wrangler.toml'), env: deployment }
  const config = unstable_readConfig(options, { hideWarnings: true })
  const buckets = config.r2_buckets as readonly { binding: string; bucket_name?: string }[]
  const bucket = buckets.find(({ binding }) => binding === 'ARCHIVE')?.bucket_name
  if (bucket === undefined) throw new CliFailure('wrangler.toml names no bucket for the binding ARCHIVE.')
  const directory = mkdtempSync(join(tmpdir(), 'osquery-edge-'))
  try {
    const file = join(directory, 'lifecycle.json')
    writeFileSync(file, JSON.stringify(lifecycleRules()))
    const set = runWrangler(['r2', 'bucket', 'lifecycle', 'set', bucket, '--file', file], 'show')
    if (!set.ok) throw new CliFailure(`The lifecycle rules of ${bucket} could not be set; see above.`)
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
}
