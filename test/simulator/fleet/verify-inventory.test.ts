import { expect, test } from 'vitest'
import { createHost } from '../../../src/simulator/host.ts'
import type { Member } from '../../../src/simulator/fleet/member.ts'
import { verifyInventory, type InventoryOptions } from '../../../src/simulator/fleet/verify-inventory.ts'

const host = createHost('linux', 'one')
const member = {
  host,
  hardwareUuid: host.uuid,
  plan: { version: '5.23.1' },
  network: { addressesSeenBy: () => ['198.18.0.1'] },
} as unknown as Member

const NODE = {
  id: 'n1',
  hostname: host.hostname,
  osqueryVersion: '5.23.1',
  hardwareUuid: host.uuid.toUpperCase(),
  lastIp: '198.18.0.1',
  addresses: [
    { kind: 'interface', address: host.address },
    { kind: 'public', address: '198.18.0.1' },
  ],
  macs: [host.mac],
  users: [host.people[0]],
}

/** A server that has this node, and archived its snapshots or not. */
function client(node: object, hasSnapshots: boolean): InventoryOptions['client'] {
  return {
    async *items<T>(path: string) {
      if (path.includes('/logs')) {
        if (hasSnapshots) yield { nodeId: 'n1' } as T
      } else yield { id: 'n1' } as T
    },
    bytes: async () => Buffer.from(JSON.stringify(node)),
  }
}

async function detailOf(node: object, hasSnapshots = true): Promise<string> {
  const options = { environment: 'e', members: [member], url: 'http://127.0.0.1', patienceMs: -1 }
  const [verdict] = await verifyInventory({ client: client(node, hasSnapshots), ...options })
  return `${verdict?.isOk ? 'ok' : 'BROKEN'}: ${verdict?.detail}`
}

test('an inventory that is true is true', async () => {
  expect(await detailOf(NODE)).toBe('ok: 1 nodes, 1 of them by snapshots, 0 faults')
})

test.each([
  [{ osqueryVersion: '5.22.0' }, 'osqueryVersion is "5.22.0"'],
  [{ hostname: 'other' }, 'hostname is "other"'],
  [{ lastIp: null }, 'lastIp is null'],
  [{ users: [] }, 'users is []'],
  [{ macs: ['02:00:00:00:00:00'] }, 'macs is ["02:00:00:00:00:00"]'],
  [{ addresses: [] }, 'addresses is []'],
])('one that says %j is not', async (fault, said) => {
  expect(await detailOf({ ...NODE, ...fault })).toContain(said)
})

test('snapshots that were not archived yet are not missed', async () => {
  expect(await detailOf({ ...NODE, users: [], addresses: [], macs: [] }, false)).toMatch(/^ok/)
})
