/**
 * What the agent plane decided, as data. The one switch that turns it into bytes is in reply.ts.
 */

/** Why an agent is told to enroll anew. Said only when it is known (design R3). */
export type NodeInvalidReason =
  | { kind: 'no-key' }
  | { kind: 'foreign-key' }
  | { kind: 'bad-mac' }
  | { kind: 'revoked'; ordinal: number }
  | { kind: 'issued-too-early' }
  | { kind: 'superseded'; ordinal: number }
  | { kind: 'other-environment' }
  | { kind: 'wrong-secret' }

/** Why an agent is told to keep what it has and come back (design R2). */
export type RetryReason =
  | { kind: 'unavailable'; what: string }
  | { kind: 'overloaded'; what: string }
  | { kind: 'bad-request'; detail: string }
  | { kind: 'too-large'; maxBytes: number }
  | { kind: 'method' }
  | { kind: 'unknown-path' }
  | { kind: 'unknown-key-format' }
  | { kind: 'unknown-environment' }
  | { kind: 'unknown-session' }
  | { kind: 'refused-block'; detail: string }
  | { kind: 'enroll-refused'; by: string }
  | { kind: 'awaits-approval' }

export type AgentOutcome =
  | { kind: 'ok'; json: string | Uint8Array }
  | { kind: 'node-invalid'; reason: NodeInvalidReason }
  | { kind: 'carve-refused'; detail: string }
  | { kind: 'retry'; reason: RetryReason }

/** `{}`: understood, nothing more to say. For log, write and block only after the data is durable (design R4). */
export const DONE: AgentOutcome = { kind: 'ok', json: '{}' }

export function answer(json: string | Uint8Array): AgentOutcome {
  return { kind: 'ok', json }
}

export function nodeInvalid(reason: NodeInvalidReason): AgentOutcome {
  return { kind: 'node-invalid', reason }
}

export function retry(reason: RetryReason): AgentOutcome {
  return { kind: 'retry', reason }
}
