/** Compares what the server says of nodes with the machines that they are: by requests at once, by snapshots later. */
import { setTimeout as sleep } from 'node:timers/promises'
import type { Member } from './member.ts'
import type { OperatorClient } from './operator-client.ts'
import type { Verdict } from './verdicts.ts'
import { verdict } from './verdicts.ts'

/** What may be said of a machine; clones are several members of one machine. */
interface ExpectedMachine {
  readonly hostname: string
  readonly versions: Set<string>
  /** Where its requests may come from; empty: nobody says. */
  readonly publicAddresses: Set<string>
  readonly address: string
  readonly mac: string
  readonly user: string
}

interface ShownNode {
  readonly id: string
  readonly hostname: string
  readonly osqueryVersion: string
  readonly hardwareUuid: string
  readonly lastIp: string | null
  readonly addresses: readonly { readonly kind: string; readonly address: string }[]
  readonly macs: readonly string[]
  readonly users: readonly string[]
}

export interface InventoryOptions {
  readonly client: Pick<OperatorClient, 'items' | 'bytes'>
  readonly environment: string
  readonly members: readonly Member[]
  /** Of the server. */
  readonly url: string
  readonly patienceMs: number
}

/** Each is a request. */
const MAX_NODES = 300
const MAX_EXAMPLES = 5
/** Presence is flushed each 15 s. */
const MAX_PATIENCE_MS = 30_000
const AGAIN_AFTER_MS = 2_000
const SNAPSHOT = 'osquery-edge/inventory/'

/**
 * Looks at some nodes of the environment, all of which are machines of the fleet; again while something is wrong, because
 * what requests say comes with the next flush of presence.
 */
export async function verifyInventory(options: InventoryOptions): Promise<Verdict[]> {
  const untilMs = Date.now() + Math.min(options.patienceMs, MAX_PATIENCE_MS)
  for (;;) {
    const { bySnapshot, faults, looked } = await look(options)
    if (faults.length === 0 || Date.now() > untilMs) {
      const detail = `${looked} nodes, ${bySnapshot} of them by snapshots, ${faults.length} faults`
      return [verdict('the inventory is true', faults.length, detail, faults.slice(0, MAX_EXAMPLES))]
    }
    await sleep(AGAIN_AFTER_MS)
  }
}

async function look({
  client,
  environment,
  members,
  url,
}: InventoryOptions): Promise<{ looked: number; bySnapshot: number; faults: string[] }> {
  const machines = expectedOf(members, url)
  const path = `/environments/${environment}`
  // What was archived before the nodes are read must be in them.
  const archived = {
    addresses: await nodesWithSnapshots(client, path, 'interface_addresses'),
    users: await nodesWithSnapshots(client, path, 'logged_in_users'),
  }
  const faults: string[] = []
  let [looked, bySnapshot] = [0, 0]
  for await (const { id } of client.items<{ id: string }>(`${path}/nodes`)) {
    if (looked >= MAX_NODES) break
    const bytes = await client.bytes(`${path}/nodes/${id}`)
    // It may be deleted by now; who is nobody's is another verdict's.
    if (bytes === undefined) continue
    const node = JSON.parse(bytes.toString()) as ShownNode
    const machine = machines.get(node.hardwareUuid.toLowerCase())
    if (machine === undefined) continue
    looked += 1
    if (archived.addresses.has(id) && archived.users.has(id)) bySnapshot += 1
    faults.push(...faultsOf(node, machine, archived).map((fault) => `${node.hostname}: ${fault}`))
  }
  return { looked, bySnapshot, faults }
}

function expectedOf(members: readonly Member[], url: string): Map<string, ExpectedMachine> {
  const machines = new Map<string, ExpectedMachine>()
  for (const member of members) {
    const { host } = member
    const machine = machines.get(member.hardwareUuid) ?? {
      hostname: host.hostname,
      versions: new Set(),
      publicAddresses: new Set(),
      address: host.address,
      mac: host.mac,
      user: host.people[0] ?? '',
    }
    machine.versions.add(member.plan.version)
    for (const address of member.network.addressesSeenBy(url)) machine.publicAddresses.add(address)
    machines.set(member.hardwareUuid, machine)
  }
  return machines
}

async function nodesWithSnapshots(
  client: InventoryOptions['client'],
  path: string,
  table: string,
): Promise<Set<string>> {
  const nodes = new Set<string>()
  const name = encodeURIComponent(SNAPSHOT + table)
  for await (const { nodeId } of client.items<{ nodeId: string }>(`${path}/logs?type=snapshot&name=${name}`))
    nodes.add(nodeId)
  return nodes
}

function faultsOf(
  node: ShownNode,
  machine: ExpectedMachine,
  archived: Readonly<Record<'addresses' | 'users', ReadonlySet<string>>>,
): string[] {
  const faults: string[] = []
  const expect = (what: string, isTrue: boolean, shown: unknown) => {
    if (!isTrue) faults.push(`${what} is ${JSON.stringify(shown)}`)
  }
  expect('hostname', node.hostname === machine.hostname, node.hostname)
  expect('osqueryVersion', machine.versions.has(node.osqueryVersion), node.osqueryVersion)
  if (machine.publicAddresses.size > 0)
    expect('lastIp', node.lastIp !== null && machine.publicAddresses.has(node.lastIp), node.lastIp)
  const own = node.addresses.flatMap(({ address, kind }) => (kind === 'interface' ? [address] : []))
  if (archived.addresses.has(node.id)) {
    expect('addresses', own.join() === machine.address, own)
    expect('macs', node.macs.join() === machine.mac, node.macs)
  }
  if (archived.users.has(node.id)) expect('users', node.users.join() === machine.user, node.users)
  return faults
}
