/** What the tests of sinks' kinds share: lines, batches, targets, and a `send` that goes straight to the network. */

import { utf8 } from '../../../src/lib/bytes.ts'
import type { ArchivedLine, LineHeader } from '../../../src/logs/line.ts'
import type {
  DeliveryOutcome,
  Json,
  Send,
  SinkBatch,
  SinkKind,
  SinkTarget,
} from '../../../src/logs/sinks/sink-kind.ts'

export const NODE_ID = '7ddebc6a-5408-4456-aac8-91151c958bd7'
export const ENVIRONMENT_ID = '5f0c1e38-3f0c-4a52-8a4b-8f6a3d0c6f11'
export const SINK_ID = '2c1b7f0e-6a7d-4b8e-9c1d-0a1b2c3d4e5f'
/** 2026-11-22T01:32:03.172Z; the lines below were written 3 s before. */
export const RECEIVED_AT = '2026-11-22T01:32:03.172Z'
export const UNIX_TIME = Date.parse('2026-11-22T01:32:00Z') / 1_000

/** A result line as osqueryd writes it. */
export function resultLine(columns: Record<string, unknown> = { pid: '1', name: 'systemd' }): string {
  return JSON.stringify({
    name: 'pack_it_processes',
    hostIdentifier: 'b151b2f0-7a5c-4995-b492-3fedc71abfe2',
    calendarTime: 'Sun Nov 22 01:32:00 2026 UTC',
    unixTime: UNIX_TIME,
    epoch: 0,
    counter: 4,
    numerics: false,
    decorations: { host_uuid: '4c4c4544-0039-4210-8053-b4c04f4d3132', username: 'alice' },
    columns,
    action: 'added',
  })
}

let made = 0

/** An archived line; its id is the next number. */
export function archived(line = resultLine(), header: Partial<LineHeader> = {}): ArchivedLine {
  made += 1
  return {
    header: {
      format: 2,
      eventId: made.toString(16).padStart(32, '0'),
      environment: ENVIRONMENT_ID,
      nodeId: NODE_ID,
      hostname: 'web-1',
      platform: 'ubuntu',
      tags: ['prod', 'web'],
      receivedAt: RECEIVED_AT,
      type: 'result',
      name: 'pack_it_processes',
      pack: 'it',
      query: 'processes',
      configurationVersion: 7,
      index: 0,
      ...header,
    },
    line: utf8(line),
  }
}

export function batchOf(lines: readonly ArchivedLine[], nowMs = Date.parse(RECEIVED_AT)): SinkBatch {
  const bytes = lines.reduce((total, { line }) => total + line.length, 0)
  return { id: '0'.repeat(32), lines, bytes, attempt: 1, nowMs }
}

/** A sink of a kind, its settings and secrets read by the kind's own schemas. */
export function targetOf<Settings, Secrets>(
  kind: SinkKind<Settings, Secrets>,
  settings: unknown,
  secrets: unknown,
  gzip = true,
): SinkTarget<Settings, Secrets> {
  return {
    id: SINK_ID,
    name: 'a sink',
    environmentId: ENVIRONMENT_ID,
    settings: kind.settings.parse(settings),
    secrets: kind.secrets.parse(secrets),
    gzip,
    state: null,
  }
}

/** What an outcome leaves for the next attempt of its batch. */
export function stateOf(outcome: DeliveryOutcome): Json {
  return 'state' in outcome ? (outcome.state ?? null) : null
}

/** Without the guard and the timeout that the Sink object's has. */
export const plainSend: Send = async (url, { method, headers, body, maxReplyBytes = 65_536 }) => {
  const request: RequestInit = { method, headers, body, redirect: 'manual' }
  const response = await fetch(url, request)
  const bytes = new Uint8Array(await response.arrayBuffer())
  return {
    status: response.status,
    headers: response.headers,
    body: bytes.slice(0, maxReplyBytes),
    isCut: bytes.length > maxReplyBytes,
  }
}
