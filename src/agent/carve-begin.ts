import type { AgentContext } from './context.ts'
import { retry, type AgentOutcome } from './outcome.ts'

export async function carveBegin(_context: AgentContext): Promise<AgentOutcome> {
  return retry({ kind: 'unavailable', what: 'carve-begin' })
}
