/** Machines of one hardware UUID begin as one node; the server parts them once it has seen that they are several. */
import type { Member } from './member.ts'
import type { OperatorClient } from './operator-client.ts'

/** The node that each split one came from. */
export type SplitNodes = ReadonlyMap<string, string>

interface ShownClone {
  readonly id: string
  readonly cloneOf: string | null
  readonly hostname: string
}

/** What was split. With `hostnames` only what may be: else a machine that is one would go unnoticed as two nodes. */
export async function splitNodesOf(
  client: Pick<OperatorClient, 'items'>,
  environment: string,
  hostnames?: ReadonlySet<string>,
): Promise<SplitNodes> {
  const splits = new Map<string, string>()
  for await (const { cloneOf, hostname, id } of client.items<ShownClone>(
    `/environments/${environment}/clones?state=split`,
  ))
    if (cloneOf !== null && hostnames?.has(hostname) !== false) splits.set(id, cloneOf)
  return splits
}

/** The names of machines that several members are. */
export function clonedHostnames(members: readonly Member[]): Set<string> {
  const byMachine = Map.groupBy(members, ({ plan }) => plan.machine)
  const cloned = [...byMachine.values()].filter((machines) => machines.length > 1)
  return new Set(cloned.flat().map(({ host }) => host.hostname))
}
