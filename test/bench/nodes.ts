/** Nodes to send as: keys are made here, because the Worker would make the same; rows in D1 only where they matter. */

import '../support/workerd-crypto.ts'
import { makeNodeKey } from '../../src/agent/node-key.ts'
import { splayBucketOf } from '../../src/fleet/splay.ts'
import { loadSigningKeys } from '../../src/agent/signing-keys.ts'
import { SIGNING_KEYS, type BenchServer } from './server.ts'

export interface BenchNode {
  nodeId: string
  ordinal: number
  nodeKey: string
}

/** Rows that one INSERT brings: as one JSON parameter, because D1 takes a hundred parameters. */
const ROWS_AT_ONCE = 1_000

export function signingKeys() {
  return loadSigningKeys(SIGNING_KEYS)
}

/** Nodes with these ordinals, 0 to `count` - 1. */
export async function makeNodes({ environmentId }: BenchServer, count: number): Promise<BenchNode[]> {
  const keys = await signingKeys()
  const issuedAtS = Math.floor(Date.now() / 1_000)
  return Promise.all(
    Array.from({ length: count }, async (_, ordinal) => {
      const nodeId = crypto.randomUUID()
      const identity = {
        environmentId,
        nodeId,
        ordinal,
        platformFamily: 'linux',
        splayBucket: splayBucketOf(ordinal),
        issuedAtS,
      } as const
      return { nodeId, ordinal, nodeKey: await makeNodeKey(keys, identity) }
    }),
  )
}

/** Brings them into the inventory, as enroll would have. */
export async function insertNodes(
  { env, environmentId }: BenchServer,
  nodes: readonly BenchNode[],
): Promise<void> {
  for (let start = 0; start < nodes.length; start += ROWS_AT_ONCE) {
    const rows = nodes.slice(start, start + ROWS_AT_ONCE).map(({ nodeId, ordinal }) => ({ nodeId, ordinal }))
    await env.DB.prepare(
      `INSERT INTO nodes (id, environment_id, ordinal, identity, hostname, platform, platform_family, osquery_version,
         host_identifier, hardware_uuid, hardware_serial, instance_id, host_details, first_enrolled_at, enrolled_at)
       SELECT value ->> 'nodeId', ?1, value ->> 'ordinal', value ->> 'nodeId', 'host-' || (value ->> 'ordinal'), 'ubuntu',
         'linux', '5.23.1', value ->> 'nodeId', value ->> 'nodeId', '', '', '{}', ?2, ?2 FROM json_each(?3)`,
    )
      .bind(environmentId, Date.now(), JSON.stringify(rows))
      .run()
  }
}
