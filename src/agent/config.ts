/** POST …/config: the environment's document for this node, byte-stable, from the snapshot alone (spec 2.2, design R7). */

import type { NodeSet } from '../fleet/node-set.ts'
import type { Bytes } from '../lib/bytes.ts'
import { configurationOf, configurationSetsOf } from '../snapshot/head.ts'
import { SnapshotUnavailable } from '../snapshot/source.ts'
import { authenticate, recognise, type AuthenticatedNode } from './authenticate.ts'
import { readSmallObject, textMember } from './body.ts'
import type { AgentContext } from './context.ts'
import { answer, retry, type AgentOutcome } from './outcome.ts'

/** What a node gets that waits for approval: nothing to do, said as spec 3.1 says it. */
const NOTHING = '{"schedule":{},"packs":{}}'

export function config(context: AgentContext): AgentOutcome | Promise<AgentOutcome> {
  const node = recognise(context)
  if (node?.isPending === true) return nothing(context, node)
  const { known } = context.snapshots
  const found =
    node === null ? undefined : configurationOf(node.head, node.identity, (hash) => known.nodeSet(hash))
  const document = found === undefined ? undefined : known.part(found.part)
  if (node === null || found === undefined || document === undefined) return configOfAnyone(context)
  context.presence.note(context, node.identity, 'config', found.version)
  return answer(bucketsOwn(context, document, node, found.part))
}

async function configOfAnyone(context: AgentContext): Promise<AgentOutcome> {
  const body = await readSmallObject(context.request, context.deadline)
  if (!body.ok) return retry(body.reason)
  const node = await authenticate(context, textMember(body.value, 'node_key'))
  if (!node.ok) return node.reason
  if (node.value.isPending) return nothing(context, node.value)
  const { identity, head } = node.value
  const sets = new Map<string, NodeSet>()
  for (const hash of configurationSetsOf(head))
    sets.set(hash, await context.snapshots.nodeSet(identity.environmentId, hash, context))
  const found = configurationOf(head, identity, (hash) => sets.get(hash))
  if (found === undefined) throw new SnapshotUnavailable('the head names no configuration')
  const document = await context.snapshots.part(identity.environmentId, found.part, context)
  context.presence.note(context, identity, 'config', found.version)
  return answer(bucketsOwn(context, document, node.value, found.part))
}

function nothing(context: AgentContext, { identity }: AuthenticatedNode): AgentOutcome {
  context.presence.note(context, identity, 'config')
  return answer(NOTHING)
}

/** The document with the intervals of the node's splay bucket, where the server says how often nodes come. */
function bucketsOwn(
  { snapshots }: AgentContext,
  document: Bytes,
  { identity, head }: AuthenticatedNode,
  part: string,
): Bytes {
  const edits = head.intervals?.[part]
  return edits === undefined
    ? document
    : snapshots.known.ownDocument(part, document, edits, identity.splayBucket)
}
