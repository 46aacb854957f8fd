/** What is checked before a sink is saved: where it goes, and that a real delivery gets there. */

import type { z } from '@hono/zod-openapi'
import { checkTarget } from '../lib/outgoing.ts'
import { fail, type Result } from '../lib/result.ts'
import { deliverBatch, type OpenSink } from '../logs/deliver/deliver-batch.ts'
import { testBatch } from '../logs/deliver/test-line.ts'
import type { DeliveryOutcome, Endpoint } from '../logs/sinks/sink-kind.ts'
import type { Fault } from './problem.ts'
import { faultsOf } from './request-faults.ts'

/** An operator waits for this. */
const MAX_TEST_MS = 10_000

/** Where a sink leads, if it is somewhere that sinks may go to. */
export function checkEndpoint(env: Env, { kind, target }: OpenSink): Result<Endpoint, Fault> {
  const endpoint = kind.endpoint(target.settings, target.secrets)
  if (!endpoint.ok) return endpoint
  const checked = checkTarget(endpoint.value.url, env.SINK_ALLOWED_HOSTS)
  return checked.ok ? endpoint : fail({ pointer: endpoint.value.pointer, detail: checked.reason })
}

/** One line on its way, really; not tried a second time. */
export function testDelivery(
  env: Env,
  sink: OpenSink,
  { timeoutSeconds, nowMs }: { timeoutSeconds: number; nowMs: number },
): Promise<DeliveryOutcome> {
  const timeoutMs = Math.min(MAX_TEST_MS, timeoutSeconds * 1_000)
  return deliverBatch(env, sink, testBatch(sink.target, nowMs), { state: null, timeoutMs })
}

/** What a test delivery came to, in words; null: it got there. */
export function failureOf(outcome: DeliveryOutcome): string | null {
  switch (outcome.kind) {
    case 'delivered':
      return outcome.rejected[0]?.reason ?? null
    case 'pending':
      return null
    case 'retry':
    case 'split':
    case 'refused':
      return outcome.reason
  }
}

/** What a test delivery that failed points at; null: it got there. */
export function testFault(
  outcome: DeliveryOutcome,
  { target }: OpenSink,
  { pointer }: Endpoint,
): Fault | null {
  const reason = failureOf(outcome)
  if (reason === null) return null
  const detail = `the test delivery failed: ${reason}`
  const isRights = outcome.kind === 'refused' && outcome.cause === 'rights'
  // Where the URL is all that there is, it is the credential.
  const others = Object.keys(target.secrets as object).filter((name) => pointer !== `/secrets/${name}`)
  return { pointer: isRights && others.length > 0 ? '/secrets' : pointer, detail }
}

/** Faults of a member of the body that was checked by itself. */
export function faultsBelow(member: string, error: Pick<z.ZodError, 'issues'>): Fault[] {
  return faultsOf('json', error).map(({ pointer, detail }) => ({ pointer: `/${member}${pointer}`, detail }))
}
