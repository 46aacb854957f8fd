/** The line of a test delivery: whoever finds it at the destination knows what it is. */

import { utf8 } from '../../lib/bytes.ts'
import type { ArchivedLine } from '../line.ts'
import type { SinkBatch } from '../sinks/sink-kind.ts'

/** A batch of one status line, as an agent would have written it. */
export function testBatch(sink: { name: string; environmentId: string }, nowMs: number): SinkBatch {
  const id = crypto.randomUUID().replaceAll('-', '')
  const line: ArchivedLine = {
    header: {
      format: 2,
      eventId: id,
      environment: sink.environmentId,
      nodeId: null,
      hostname: 'osquery-edge',
      platform: null,
      tags: [],
      receivedAt: new Date(nowMs).toISOString(),
      type: 'status',
      name: '',
      pack: null,
      query: null,
      configurationVersion: null,
      index: 0,
    },
    line: utf8(
      JSON.stringify({
        hostIdentifier: 'osquery-edge',
        unixTime: String(Math.floor(nowMs / 1_000)),
        severity: '0',
        filename: 'test-delivery',
        line: '0',
        message: `osquery-edge: test delivery to the sink ${sink.name}`,
      }),
    ),
  }
  return { id, lines: [line], bytes: line.line.length, attempt: 1, nowMs }
}
