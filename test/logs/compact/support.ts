/** What the tests of compaction share: an archive that is written directly, and steps that are run by hand. */

import { workStep } from '../../../src/logs/compact/step.ts'
import type { TestServer } from '../../support/harness.ts'
import { makeEnvironment } from '../../support/operator.ts'
import type { LogItem, LogList, Written } from '../support.ts'

export const HOUR_MS = 3_600_000
/** Far in the past, so that every hour is settled. */
export const START_MS = Date.UTC(2026, 5, 1, 12)
export const NODES = [1, 2, 3, 4].map((n) => `${n}b000000-0000-4000-8000-00000000000${n}`)

let ids = 0
/** A line of its own, so many milliseconds after the start. */
export function line(atMs: number, change: Partial<Written> = {}): Written {
  ids += 1
  const eventId = ids.toString(16).padStart(16, '0').repeat(2)
  return {
    eventId,
    nodeId: NODES[0] ?? '',
    type: 'result',
    name: 'n',
    atMs: START_MS + atMs,
    index: 0,
    ...change,
  }
}

let environments = 0
export async function newEnvironment(server: TestServer): Promise<string> {
  environments += 1
  const { id } = await makeEnvironment(server, `compacting-${environments}`)
  await addNodes(server, id)
  return id
}

/** Lets the nodes of these tests be known in an environment, and in no other any more. */
export async function addNodes(server: TestServer, environmentId: string): Promise<void> {
  const insert = server.env.DB.prepare(
    `INSERT OR REPLACE INTO nodes (id, environment_id, ordinal, identity, hostname, platform, platform_family,
       osquery_version, host_identifier, hardware_uuid, hardware_serial, instance_id, host_details,
       first_enrolled_at, enrolled_at)
     VALUES (?1, ?2, ?3, ?1, 'host', 'ubuntu', 'linux', '', '', '', '', '', '{}', 0, 0)`,
  )
  await server.env.DB.batch(NODES.map((id, at) => insert.bind(id, environmentId, at + 1)))
}

/** Runs steps until there is nothing to do; how many there were. */
export async function compactAll(env: Env, environmentId: string, nowMs = Date.now()): Promise<number> {
  for (let steps = 0; ; steps += 1) {
    const outcome = await workStep(env, environmentId, nowMs)
    if (outcome === 'failed') throw new Error('a step failed')
    if (outcome === 'idle') return steps
  }
}

export async function readPage(
  server: TestServer,
  environmentId: string,
  parameters: string,
): Promise<LogList> {
  const reply = await server.operator('GET', `/environments/${environmentId}/logs?${parameters}`)
  if (reply.status !== 200) throw new Error(reply.text)
  return reply.json<LogList>()
}

export function eventIdsOf(items: readonly Pick<LogItem, 'eventId'>[]): string[] {
  return items.map(({ eventId }) => eventId)
}

/** The keys of an environment's objects that lie in R2. */
export async function archivedKeys(env: Env, environmentId: string): Promise<string[]> {
  const { objects } = await env.ARCHIVE.list({ prefix: `logs/r90/environment=${environmentId}/` })
  return objects.map(({ key }) => key)
}
