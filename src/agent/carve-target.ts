/** Where a block belongs, decided from its small members alone: no I/O, nothing of its data is looked at. */

import type { CarveClaim } from '../carves/claim.ts'
import { blockBytes } from '../fleet/carve-plan.ts'
import { fail, ok, type Result } from '../lib/result.ts'
import { environmentNamed, headerIdentity, isOfRetiredKey } from './authenticate.ts'
import { integerMember, textMember } from './body.ts'
import { readCarveSessionId } from './carve-session-id.ts'
import type { AgentContext } from './context.ts'
import { retry, type AgentOutcome } from './outcome.ts'

export interface CarveTarget {
  claim: CarveClaim
  blockId: number
  /** How many bytes the block must have. */
  bytes: number
}

/** Checks the session id, whose it is, and that the carve has such a block. Failing is `retry`: spec 1.7. */
export async function carveTargetOf(
  context: AgentContext,
  members: Readonly<Record<string, unknown>>,
): Promise<Result<CarveTarget, AgentOutcome>> {
  const sessionId = textMember(members, 'session_id')
  const session = await readCarveSessionId(context.keys, sessionId)
  if (!session.ok) {
    const isUnknown = session.reason === 'unknown-format' && !(await isOfRetiredKey(context, sessionId))
    return fail(retry({ kind: isUnknown ? 'unknown-key-format' : 'unknown-session' }))
  }
  const claim = session.value
  // A key that does not verify says nothing: the session id is the credential (spec 2.7).
  const sender = await headerIdentity(context)
  if (sender !== null && (sender.nodeId !== claim.nodeId || sender.environmentId !== claim.environmentId))
    return fail(refusedBlock('the session is of another node'))
  const reference = context.environmentReference
  if (reference !== null && (await environmentIdNamed(context, reference, claim)) !== claim.environmentId)
    return fail(retry({ kind: 'unknown-environment' }))
  const blockId = integerMember(members, 'block_id')
  const bytes = blockId === null ? null : blockBytes(claim.plan, blockId)
  if (blockId === null || bytes === null) return fail(refusedBlock('the carve has no such block'))
  return ok({ claim, blockId, bytes })
}

export function refusedBlock(detail: string): AgentOutcome {
  return retry({ kind: 'refused-block', detail })
}

async function environmentIdNamed(
  context: AgentContext,
  reference: string,
  { environmentId }: CarveClaim,
): Promise<string | null> {
  return reference === environmentId ? environmentId : environmentNamed(context, reference)
}
