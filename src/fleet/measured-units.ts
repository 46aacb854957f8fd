/**
 * What one request, message, object and refresh cost: counted by `npm run bench -- meter --short --json FILE` (its
 * `units`), whose model this product shares. Counts are the same in every run. CPU times are those of the whole process,
 * HTTP and a busy machine's neighbours included: more than Cloudflare bills.
 */

import type { CompactionShare, Units } from './cost-model.ts'

export const UNITS_MEASURED_ON = '2026-11-22'

const NOTHING: CompactionShare = {
  workerRequests: 0,
  queueOperations: 0,
  objectRequests: 0,
  rowsRead: 0,
  rowsWritten: 0,
  r2ClassA: 0,
  r2ClassB: 0,
}

export const MEASURED_UNITS: Units = {
  cpuMs: {
    read: 0.09,
    config: 0.09,
    log: { queue: 0.17, inbox: 0.17 },
    consumerPerMessage: 0.74,
  },
  // A message has 120,000 bytes (logs/message.ts), and lines shrink to an eighth: one message up to 700 KB of lines.
  posts: [
    { lineBytes: 3_500, port: 'queue', queueOperations: 1, r2ClassA: 0 },
    { lineBytes: 3_500, port: 'inbox', queueOperations: 1, r2ClassA: 1 },
    { lineBytes: 700_000, port: 'queue', queueOperations: 1, r2ClassA: 0 },
    { lineBytes: 700_000, port: 'inbox', queueOperations: 1, r2ClassA: 1 },
  ],
  storedShare: 0.13,
  consumerShare: 2,
  consumer: {
    objectRequestsPerBatch: 1,
    rowsWrittenPerBatch: 12,
    rowsReadPerBatch: 7,
    r2ClassAPerBatch: 2,
    d1RowsReadPerMessage: 2.4,
    r2ClassBPerMessage: { queue: 0, inbox: 1 },
  },
  compaction: {
    wake: {
      ...NOTHING,
      workerRequests: 1,
      queueOperations: 3,
      objectRequests: 1,
      rowsRead: 12,
      rowsWritten: 2,
    },
    object: { ...NOTHING, rowsRead: 28, rowsWritten: 2, r2ClassB: 1 },
    step: { ...NOTHING, objectRequests: 5, rowsRead: 137, rowsWritten: 124, r2ClassA: 1 },
    cpuMsPerMb: 63,
  },
  head: { rowsRead: 2, activeMs: 0.35 },
  flush: { activeMs: 0.3 },
  background: {
    workerRequestsPerMinute: 1,
    r2ClassAPerMinute: 1,
    objectRequestsPerFiveMinutes: 3,
    rowsWrittenPerFiveMinutes: 2,
    r2ClassAPerFiveMinutes: 1,
  },
}
