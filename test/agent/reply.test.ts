/** The reply rules of design section 2, for every outcome that an endpoint can have. */

import { describe, expect, it } from 'vitest'
import {
  answer,
  DONE,
  nodeInvalid,
  retry,
  type AgentOutcome,
  type NodeInvalidReason,
  type RetryReason,
} from '../../src/agent/outcome.ts'
import { MARKER_HEADER, toResponse } from '../../src/agent/reply.ts'
import { utf8 } from '../../src/lib/bytes.ts'

/** One of each: a new kind does not compile until it is here. */
const NODE_INVALID: { [Kind in NodeInvalidReason['kind']]: Extract<NodeInvalidReason, { kind: Kind }> } = {
  'no-key': { kind: 'no-key' },
  'foreign-key': { kind: 'foreign-key' },
  'bad-mac': { kind: 'bad-mac' },
  revoked: { kind: 'revoked', ordinal: 7 },
  'issued-too-early': { kind: 'issued-too-early' },
  superseded: { kind: 'superseded', ordinal: 7 },
  'other-environment': { kind: 'other-environment' },
  'wrong-secret': { kind: 'wrong-secret' },
}
const RETRY: { [Kind in RetryReason['kind']]: [Extract<RetryReason, { kind: Kind }>, number] } = {
  unavailable: [{ kind: 'unavailable', what: 'D1' }, 503],
  overloaded: [{ kind: 'overloaded', what: 'memory' }, 503],
  'bad-request': [{ kind: 'bad-request', detail: 'not JSON' }, 400],
  'too-large': [{ kind: 'too-large', maxBytes: 1 }, 413],
  method: [{ kind: 'method' }, 405],
  'unknown-path': [{ kind: 'unknown-path' }, 404],
  'unknown-key-format': [{ kind: 'unknown-key-format' }, 503],
  'unknown-environment': [{ kind: 'unknown-environment' }, 503],
  'unknown-session': [{ kind: 'unknown-session' }, 404],
  'refused-block': [{ kind: 'refused-block', detail: 'bad base64' }, 400],
  'enroll-refused': [{ kind: 'enroll-refused', by: 'quota' }, 403],
  'awaits-approval': [{ kind: 'awaits-approval' }, 403],
}

async function sent(outcome: AgentOutcome): Promise<{ status: number; text: string; headers: Headers }> {
  const response = toResponse(outcome)
  return { status: response.status, text: await response.text(), headers: response.headers }
}

/** R1: an answer that is meant is 200 and a JSON object. */
async function expectAnswer(outcome: AgentOutcome, body: unknown): Promise<void> {
  const { status, text, headers } = await sent(outcome)
  expect([status, headers.get('content-type')]).toEqual([200, 'application/json'])
  expect(text).toMatch(/^\{.*\}$/s)
  expect(JSON.parse(text)).toEqual(body)
}

describe('an answer', () => {
  it('of an endpoint goes out as it is, text or bytes', async () => {
    const text = '{"schedule":{ "größe":{"interval":18446744073709551615}}}'
    expect((await sent(answer(text))).text).toBe(text)
    expect((await sent(answer(utf8(text)))).text).toBe(text)
    await expectAnswer(answer('{"node_key":"k"}'), { node_key: 'k' })
  })

  it('with nothing to say is an object, never an empty body', async () => {
    await expectAnswer(DONE, {})
  })

  it.each(Object.values(NODE_INVALID))(
    'node_invalid because of $kind tells the agent and not why',
    async (reason) => {
      await expectAnswer(nodeInvalid(reason), { node_invalid: true })
    },
  )

  it('that refuses a carve has no session id, so that the agent gives it up (spec 2.6)', async () => {
    await expectAnswer({ kind: 'carve-refused', detail: 'quota' }, { error: 'refused' })
  })
})

describe('a failure', () => {
  it.each(Object.entries(RETRY))('because of %s is the text retry', async (_kind, [reason, status]) => {
    const reply = await sent(retry(reason))
    expect([reply.status, reply.text]).toEqual([status, 'retry'])
    expect(reply.status).toBeGreaterThanOrEqual(400)
    expect(reply.headers.get('content-type')).toBe('text/plain')
    expect(() => JSON.parse(reply.text) as unknown).toThrow()
  })
})

it('every reply says that the app meant it, and that nobody may keep it', async () => {
  const outcomes: AgentOutcome[] = [
    DONE,
    answer('{"a":1}'),
    { kind: 'carve-refused', detail: '' },
    ...Object.values(NODE_INVALID).map(nodeInvalid),
    ...Object.values(RETRY).map(([reason]) => retry(reason)),
  ]
  for (const outcome of outcomes) {
    const { text, headers } = await sent(outcome)
    expect([headers.get(MARKER_HEADER), headers.get('cache-control')]).toEqual(['1', 'no-store'])
    expect(text).not.toBe('')
  }
})
