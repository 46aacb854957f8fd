/** Hands a batch to its kind, with a guarded `send`; whatever is thrown becomes an outcome. */

import { OutgoingFailed, OutgoingRefused, sendOut } from '../../lib/outgoing.ts'
import type { Result } from '../../lib/result.ts'
import { fail, ok } from '../../lib/result.ts'
import { kindOf } from '../sinks/kinds.ts'
import type { DeliveryOutcome, Json, Send, SinkBatch, SinkKind, SinkTarget } from '../sinks/sink-kind.ts'
import { openSecrets, SecretsUnreadable } from './sealed-secrets.ts'
import type { DeliveryOptions, SinkConfig } from './sink-config.ts'

/** A destination that is ready to be sent to. */
export interface OpenSink {
  kind: SinkKind
  target: Omit<SinkTarget<unknown, unknown>, 'state'>
}

type Opened = Pick<SinkConfig, 'id' | 'name' | 'environmentId' | 'kind' | 'settings' | 'sealedSecrets'> & {
  delivery: Pick<DeliveryOptions, 'gzip'>
}

/** Reads settings and secrets by the kind's schemas. The reason is for operators. */
export async function openSink(env: Env, sink: Opened): Promise<Result<OpenSink, string>> {
  const kind = kindOf(sink.kind)
  if (kind === undefined) return fail('this version does not know the kind of this sink')
  try {
    const settings = kind.settings.safeParse(sink.settings)
    const secrets = kind.secrets.safeParse(await openSecrets(env.SIGNING_KEYS, sink.id, sink.sealedSecrets))
    if (!settings.success || !secrets.success) return fail('the settings are not as this version wants them')
    const { id, name, environmentId, delivery } = sink
    const target = { id, name, environmentId, gzip: delivery.gzip }
    return ok({ kind, target: { ...target, settings: settings.data, secrets: secrets.data } })
  } catch (error) {
    if (error instanceof SecretsUnreadable) return fail(error.message)
    throw error
  }
}

/** What a destination says to somebody it does not know, or who may not (RFC 9110 sections 15.5.2, 15.5.4). */
const RIGHTS_STATUSES = [401, 403]

/** One attempt. Never throws: a fault of ours is tried again, and logged. */
export async function deliverBatch(
  env: Env,
  { kind, target }: OpenSink,
  batch: SinkBatch,
  { state, timeoutMs }: { state: Json; timeoutMs: number },
): Promise<DeliveryOutcome> {
  let lastStatus = 0
  const send: Send = async (url, request) => {
    const reply = await sendOut(url, request, { allowedHosts: env.SINK_ALLOWED_HOSTS, timeoutMs })
    lastStatus = reply.status
    return reply
  }
  try {
    const outcome = await kind.deliver(batch, { ...target, state }, send)
    const isRights = outcome.kind === 'refused' && RIGHTS_STATUSES.includes(lastStatus)
    return isRights ? { ...outcome, cause: 'rights' } : outcome
  } catch (error) {
    if (error instanceof OutgoingRefused) return { kind: 'refused', reason: error.message }
    if (error instanceof OutgoingFailed)
      return { kind: 'retry', reason: error.message, retryAfterMs: null, state }
    const name = error instanceof Error ? error.name : 'unknown'
    console.error(JSON.stringify({ event: 'sink-fault', sink: target.id, kind: kind.name, error: name }))
    return { kind: 'retry', reason: `a fault of this version (${name})`, retryAfterMs: null, state }
  }
}
