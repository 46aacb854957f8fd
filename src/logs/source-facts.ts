/** What lines say beside the agent's own words: of the node that sent them and of its environment. Best effort. */

import type { NodeSet } from '../fleet/node-set.ts'
import type { LineSource, ScheduledName } from './line.ts'
import type { Retention } from './retention.ts'

/** Of an environment: the same for all its lines. */
export interface EnvironmentFacts {
  configurationVersion: number | null
  /** Nodes that get another version: the first that a node is in counts. Absent: none. */
  cohorts?: readonly { members: NodeSet; configurationVersion: number }[]
  retention: Retention
  /** What a name in a line stands for in the configuration. */
  nameOf(name: string): ScheduledName
}

/** Of a node and its environment. */
export interface SourceFacts extends EnvironmentFacts {
  hostname: string | null
  /** As the inventory has it. A node key says it too, and then that counts. */
  platform: string | null
  tags: readonly string[]
}

export const UNKNOWN_NAME: ScheduledName = { pack: null, query: null }

/** Where neither the environment's snapshot nor D1 can be had. */
export const NOTHING_KNOWN: SourceFacts = {
  hostname: null,
  platform: null,
  tags: [],
  configurationVersion: null,
  retention: {},
  nameOf: () => UNKNOWN_NAME,
}

/** Whose lines these are: what is known for certain. */
export type Sender = Pick<LineSource, 'environmentId' | 'nodeId' | 'platform' | 'receivedAtMs'> & {
  ordinal?: number
}

/** What the lines of one sender have in common. */
export function sourceOf(sender: Sender, facts: SourceFacts): LineSource {
  const { environmentId, nodeId, receivedAtMs } = sender
  // Empty where a body came back from quarantine: the node key is not there any more.
  const platform = sender.platform === '' ? facts.platform : (sender.platform ?? facts.platform)
  const { hostname, tags, retention } = facts
  const configurationVersion = versionFor(sender, facts)
  return { environmentId, nodeId, platform, receivedAtMs, hostname, tags, configurationVersion, retention }
}

/** A body from quarantine has no node key, and so no ordinal: it counts as one of the many. */
function versionFor({ ordinal, platform }: Sender, facts: EnvironmentFacts): number | null {
  const cohort =
    ordinal === undefined || platform === ''
      ? undefined
      : facts.cohorts?.find(({ members }) => members.has(ordinal))
  return cohort?.configurationVersion ?? facts.configurationVersion
}
