import type { EndpointName } from './endpoints.ts'

/** Requests of one endpoint by outcome; the transparent resend is not counted apart. */
export interface CallCounters {
  sent: number
  ok: number
  failed: number
}

/** Everything that an agent counts, as plain data. */
export interface Counters {
  readonly calls: Record<EndpointName, CallCounters>
  readonly lines: {
    produced: number
    sent: number
    acknowledged: number
    /** Gone without having been taken: too long, or lost to a failure that looked like a success. */
    dropped: number
    /** Gone because the buffer was full (`buffered_log_max`). */
    purged: number
  }
  readonly queries: {
    accepted: number
    skipped: number
    answered: number
    acknowledged: number
    /** Answers that were forgotten after a failure that looked like a success. */
    lost: number
  }
  readonly carves: { scheduled: number; succeeded: number; failed: number }
  /** Replies `node_invalid`. */
  nodeInvalid: number
  /** Replies that would have crashed osqueryd. */
  crashes: number
  /** Replies of status 400 and more whose body is a success for osqueryd: it forgets what it sent. */
  falseSuccesses: number
  /** Replies of a distributed read that broke off in the middle: what came after is lost. */
  brokenReads: number
  /** Configurations that took a whole schedule away. */
  wipedSchedules: number
  timeouts: number
  brokenConnections: number
  sentBytes: number
  receivedBytes: number
  /** Replies by HTTP status, which the agent itself never looks at. */
  readonly statuses: Record<string, number>
}

/** All zero. */
export function newCounters(): Counters {
  const call = (): CallCounters => ({ sent: 0, ok: 0, failed: 0 })
  return {
    calls: {
      enroll: call(),
      config: call(),
      log: call(),
      read: call(),
      write: call(),
      carveStart: call(),
      carveBlock: call(),
    },
    lines: { produced: 0, sent: 0, acknowledged: 0, dropped: 0, purged: 0 },
    queries: { accepted: 0, skipped: 0, answered: 0, acknowledged: 0, lost: 0 },
    carves: { scheduled: 0, succeeded: 0, failed: 0 },
    nodeInvalid: 0,
    crashes: 0,
    falseSuccesses: 0,
    brokenReads: 0,
    wipedSchedules: 0,
    timeouts: 0,
    brokenConnections: 0,
    sentBytes: 0,
    receivedBytes: 0,
    statuses: {},
  }
}
