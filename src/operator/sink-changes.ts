/** What a sink becomes by a change that an operator asks for. */

import type { z } from '@hono/zod-openapi'
import { sinkConfigOf } from '../db/sink-definitions.ts'
import type { SinkRow } from '../db/sinks.ts'
import { fail, ok, type Result } from '../lib/result.ts'
import { sealSecrets } from '../logs/deliver/sealed-secrets.ts'
import { kindOf } from '../logs/sinks/kinds.ts'
import type { Json } from '../logs/sinks/sink-kind.ts'
import type { Fault } from './problem.ts'
import { deliveryOf, filterOf, mergedObject, type sinkPatch } from './sink-bodies.ts'
import { faultsBelow } from './sink-checks.ts'
import { heldSecrets, originOf } from './sink-origin.ts'

export interface ChangedSink {
  row: SinkRow
  /** Something changed that decides whether lines get there. */
  isTestNeeded: boolean
}

type Members = Record<string, unknown>

/** The row after the change, or what is wrong with it. */
export async function changedSink(
  env: Env,
  before: SinkRow,
  body: z.infer<typeof sinkPatch>,
  nowMs: number,
): Promise<Result<ChangedSink, Fault[]>> {
  const kind = kindOf(before.kind)
  if (kind === undefined)
    return fail([{ pointer: '', detail: 'is of a kind that this version does not know' }])
  const was = sinkConfigOf(before)
  const settings = kind.settings.safeParse(mergedObject(was.settings as Members, body.settings ?? {}))
  if (!settings.success) return fail(faultsBelow('settings', settings.error))
  const held = await heldSecrets(env, before)
  if (held === null && body.secrets === undefined) {
    return fail([{ pointer: '/secrets', detail: 'cannot be read any more: write them again' }])
  }
  const secrets = kind.secrets.safeParse(mergedObject(held ?? {}, body.secrets ?? {}))
  if (!secrets.success) return fail(faultsBelow('secrets', secrets.error))
  const now = kind.endpoint(settings.data, secrets.data)
  if (!now.ok) return fail([now.reason])
  const then = kind.endpoint(was.settings, held ?? {})
  const hasMoved = !then.ok || originOf(then.value.url) !== originOf(now.value.url)
  // Whoever may change a sink must not learn its secrets by sending them to a host of their own.
  const carried = hasMoved ? Object.keys(held ?? {}).filter((name) => !(name in (body.secrets ?? {}))) : []
  if (carried.length > 0) {
    const detail = `are to be written again (or null), because the sink goes to another origin: ${carried.join(', ')}`
    return fail([{ pointer: '/secrets', detail }])
  }
  const delivery = deliveryOf(body.delivery ?? {}, was.delivery)
  if (typeof delivery === 'string') return fail([{ pointer: '/delivery/maxBytes', detail: delivery }])
  const row: SinkRow = {
    ...before,
    name: body.name ?? before.name,
    settings: JSON.stringify(settings.data),
    secrets: await sealSecrets(env.SIGNING_KEYS, before.id, secrets.data as Json),
    secretNames: JSON.stringify(Object.keys(secrets.data as Members)),
    filter: JSON.stringify(filterOf(body.filter ?? {}, was.filter)),
    delivery: JSON.stringify(delivery),
    revision: before.revision + 1,
    updatedAtMs: nowMs,
  }
  const isTestNeeded =
    body.secrets !== undefined || row.settings !== before.settings || delivery.gzip !== was.delivery.gzip
  return ok({ row, isTestNeeded })
}
