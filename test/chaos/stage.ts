/** What every run needs: bundles, a runtime with an empty database, an operator, and an end that leaves nothing behind. */

import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import '../support/workerd-crypto.ts'
import { loadSigningKeys, type SigningKeys } from '../../src/agent/signing-keys.ts'
import { OperatorClient } from '../../src/simulator/fleet/operator-client.ts'
import { buildPresent, buildPrevious, type Bundle } from './bundle.ts'
import { OPERATOR_TOKEN, Runtime, SIGNING_KEYS, type Arrangement, type VersionName } from './runtime.ts'
import { watch, type Witness } from './witness.ts'

export interface Stage {
  readonly bundles: Readonly<Record<VersionName, Bundle>>
  readonly runtime: Runtime
  readonly client: OperatorClient
  readonly keys: SigningKeys
  /** Below which everything lies that the run writes. */
  readonly folder: string
  /** By port; who is put in sees what goes to that port. */
  readonly witnesses: Map<number, Witness>
  close(): Promise<void>
}

export interface StageOptions {
  readonly folder: string
  readonly ports: number
  readonly start: Arrangement
  /** False: the working tree alone is built. */
  readonly hasPrevious: boolean
  readonly previous: string | undefined
}

export async function setStage(options: StageOptions): Promise<Stage> {
  const { folder, ports } = options
  mkdirSync(folder, { recursive: true })
  // So that wrangler does not warn of it, and does not say where it found it.
  process.env['SIGNING_KEYS'] = SIGNING_KEYS
  process.env['WRANGLER_LOG'] = 'warn'
  const present = buildPresent(join(folder, 'build'))
  const previous = options.hasPrevious ? buildPrevious(join(folder, 'build'), options.previous) : present
  const bundles = { new: await present, old: await previous }
  const runtime = await Runtime.make({ bundles, folder, ports })
  await runtime.start(options.start)
  await runtime.prepare()
  const client = new OperatorClient({ url: runtime.urls[0] ?? '', token: OPERATOR_TOKEN })
  const witnesses = new Map<number, Witness>()
  const endWatching = watch(witnesses)
  return {
    bundles,
    runtime,
    client,
    keys: await loadSigningKeys(SIGNING_KEYS),
    folder,
    witnesses,
    async close() {
      endWatching()
      client.close()
      await runtime.stop()
    },
  }
}
