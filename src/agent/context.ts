/** What every agent endpoint gets: one request with its deadline, and the isolate's snapshot memory. */

import type { Deadline } from '../lib/deadline.ts'
import type { SnapshotSource } from '../snapshot/source.ts'
import type { PresenceBuffer } from '../presence/buffer.ts'
import type { EnrollDamper } from './enroll-damper.ts'
import type { EnrollUsage } from './enroll-usage.ts'
import type { Holds } from './holds.ts'
import type { AgentOutcome } from './outcome.ts'
import type { SigningKeys } from './signing-keys.ts'

export interface AgentContext {
  request: Request
  env: Env
  keys: SigningKeys
  deadline: Deadline
  snapshots: SnapshotSource
  presence: PresenceBuffer
  holds: Holds
  enrolls: EnrollUsage
  damper: EnrollDamper
  /** The environment that the URL names (osctrl's layout), or null where it names none. */
  environmentReference: string | null
  receivedAtMs: number
  waitUntil(work: Promise<unknown>): void
}

/**
 * One endpoint. It may throw for outages and bugs only; the routes turn that into `retry`. It answers at once where all
 * that it needs is in memory, as nearly every poll does: each promise and each timer costs as much as deciding.
 */
export type AgentEndpoint = (context: AgentContext) => AgentOutcome | Promise<AgentOutcome>
