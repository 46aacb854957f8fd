import type { AgentContext } from './context.ts'
import { retry, type AgentOutcome } from './outcome.ts'

export async function distributedWrite(_context: AgentContext): Promise<AgentOutcome> {
  return retry({ kind: 'unavailable', what: 'distributed-write' })
}
