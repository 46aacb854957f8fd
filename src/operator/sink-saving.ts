/** Making, changing and deleting sinks: checked, kept in D1 with an audit row, and told to the sink's object. */

import type { z } from '@hono/zod-openapi'
import { isUniqueViolation } from '../db/control.ts'
import { sinkConfigOf } from '../db/sink-definitions.ts'
import { countSinks, deleteSink, insertSink, updateSink, type SinkRow } from '../db/sinks.ts'
import { Deadline } from '../lib/deadline.ts'
import { openSink } from '../logs/deliver/deliver-batch.ts'
import { sealSecrets } from '../logs/deliver/sealed-secrets.ts'
import { kindOf } from '../logs/sinks/kinds.ts'
import type { Json } from '../logs/sinks/sink-kind.ts'
import { environmentChangeNote } from './change-note.ts'
import type { OperatorContext } from './context.ts'
import { reasonOf } from './failure.ts'
import { conflict, notFound, problem, unprocessable } from './problem.ts'
import { deliveryOf, filterOf, type sinkBody, type sinkPatch } from './sink-bodies.ts'
import { changedSink } from './sink-changes.ts'
import { checkEndpoint, testDelivery, testFault } from './sink-checks.ts'
import { originOfSink } from './sink-origin.ts'
import { sinkOfPath } from './sink-path.ts'
import { shownSink } from './sink-view.ts'

/** The consumer wakes each of them for every batch. */
const MAX_SINKS = 100
/** How long an operator waits for the sink to hear of a change. */
const LIVE_WITHIN_MS = 3_000

export async function createSink(
  c: OperatorContext,
  body: z.infer<typeof sinkBody>,
  isTestSkipped: boolean,
): Promise<Response> {
  const { db, environment, nowMs } = c.var
  const kind = kindOf(body.kind)
  if (kind === undefined) return unprocessable({ pointer: '/kind', detail: 'is not known' })
  const delivery = deliveryOf(body.delivery)
  if (typeof delivery === 'string') return unprocessable({ pointer: '/delivery/maxBytes', detail: delivery })
  if ((await countSinks(db, environment.id)) >= MAX_SINKS) {
    return problem(409, `An environment has ${MAX_SINKS} sinks at most.`)
  }
  const secrets = body.secrets as Record<string, Json>
  const id = crypto.randomUUID()
  const row: SinkRow = {
    id,
    environmentId: environment.id,
    name: body.name,
    kind: body.kind,
    settings: JSON.stringify(body.settings),
    secrets: await sealSecrets(c.env.SIGNING_KEYS, id, secrets),
    secretNames: JSON.stringify(Object.keys(secrets)),
    filter: JSON.stringify(filterOf(body.filter)),
    delivery: JSON.stringify(delivery),
    paused: body.paused,
    revision: 1,
    createdAtMs: nowMs,
    updatedAtMs: nowMs,
  }
  const refused = await whyRefused(c, row, isTestSkipped)
  if (refused !== null) return refused
  const endpoint = await originOfSink(c.env, row)
  const detail = { name: row.name, kind: row.kind, endpoint, tested: !isTestSkipped }
  try {
    await insertSink(db, environmentChangeNote(c, 'sink.create', id, detail), row)
  } catch (error) {
    if (isUniqueViolation(error, 'sinks.name')) return nameTaken()
    throw error
  }
  await publish(c, row)
  return c.json(await shownSink(c, row), 201)
}

export async function changeSink(
  c: OperatorContext,
  id: string,
  body: z.infer<typeof sinkPatch>,
  isTestSkipped: boolean,
): Promise<Response> {
  const before = await sinkOfPath(c, id)
  if (before === null) return notFound('sink')
  const changed = await changedSink(c.env, before, body, c.var.nowMs)
  if (!changed.ok) return unprocessable(...changed.reason)
  const { row, isTestNeeded } = changed.value
  const refused = await whyRefused(c, row, isTestSkipped || !isTestNeeded)
  if (refused !== null) return refused
  const endpoint = await originOfSink(c.env, row)
  const detail = { name: row.name, changed: Object.keys(body), endpoint }
  try {
    const note = environmentChangeNote(c, 'sink.change', id, detail)
    if (!(await updateSink(c.var.db, note, row))) return problem(409, 'Somebody else changed it meanwhile.')
  } catch (error) {
    if (isUniqueViolation(error, 'sinks.name')) return nameTaken()
    throw error
  }
  await publish(c, row)
  return c.json(await shownSink(c, row))
}

export async function setPaused(c: OperatorContext, id: string, paused: boolean): Promise<Response> {
  const before = await sinkOfPath(c, id)
  if (before === null) return notFound('sink')
  if (before.paused === paused) return c.json(await shownSink(c, before))
  const row = { ...before, paused, revision: before.revision + 1, updatedAtMs: c.var.nowMs }
  const note = environmentChangeNote(c, paused ? 'sink.pause' : 'sink.resume', id)
  if (!(await updateSink(c.var.db, note, row))) return problem(409, 'Somebody else changed it meanwhile.')
  await publish(c, row)
  return c.json(await shownSink(c, row))
}

export async function removeSink(c: OperatorContext, id: string): Promise<Response> {
  const row = await sinkOfPath(c, id)
  if (row === null) return notFound('sink')
  await deleteSink(
    c.var.db,
    environmentChangeNote(c, 'sink.delete', id, { name: row.name }),
    row.environmentId,
    id,
  )
  await tellSink(id, () => c.env.SINK.getByName(id).erase(row.environmentId, id))
  return c.body(null, 204)
}

/** Why a sink is not saved as it is: it goes where none may, or the test line does not get there. */
async function whyRefused(
  c: OperatorContext,
  row: SinkRow,
  isTestSkipped: boolean,
): Promise<Response | null> {
  const config = sinkConfigOf(row)
  const opened = await openSink(c.env, config)
  if (!opened.ok) return unprocessable({ pointer: '/settings', detail: opened.reason })
  const endpoint = checkEndpoint(c.env, opened.value)
  if (!endpoint.ok) return unprocessable(endpoint.reason)
  if (isTestSkipped) return null
  const { timeoutSeconds } = config.delivery
  const outcome = await testDelivery(c.env, opened.value, { timeoutSeconds, nowMs: c.var.nowMs })
  const fault = testFault(outcome, opened.value, endpoint.value)
  return fault === null ? null : unprocessable(fault)
}

async function publish(c: OperatorContext, row: SinkRow): Promise<void> {
  await tellSink(row.id, () => c.env.SINK.getByName(row.id).configure(sinkConfigOf(row)))
}

/** The change is safe by now: a sink that does not hear of it reads its definition again within minutes. */
async function tellSink(id: string, tell: () => Promise<void>): Promise<void> {
  try {
    await new Deadline(LIVE_WITHIN_MS).run(tell())
  } catch (error) {
    console.warn(JSON.stringify({ event: 'sink-not-told', sink: id, reason: reasonOf(error) }))
  }
}

function nameTaken(): Response {
  return conflict('/name', 'exists already: names are unique in an environment')
}
