/** What tests of rollouts share: an environment with nodes, and what may be done to its configuration. */

import { expect } from 'vitest'
import type { TestServer } from './harness.ts'
import { created, enrollHost, makeEnvironment } from './operator.ts'

export interface Rollout {
  id: string
  version: number
  stableVersion: number
  state: string
  step: number
  members: number
  served: boolean
  gates: { gate: string; status: string; detail: string }[]
  reason: { by: string; detail: string } | null
  clearing: boolean
  endedAt: string | null
  live: boolean
}

export const NO_GATES = {
  documentReceived: null,
  denylisted: null,
  queryErrors: null,
  checkInsLost: null,
  cpu: null,
  memory: null,
  logVolume: null,
}
export const STABLE = {
  options: { distributed_interval: 10 },
  schedule: { up: { query: 'SELECT 1', interval: 60 } },
}
export const CANDIDATE = {
  options: { distributed_interval: 10, logger_tls_max_lines: 99 },
  schedule: { up: { query: 'SELECT 1', interval: 60 }, poison: { query: 'SELECT 2', interval: 60 } },
}

/** An environment of its own with nodes a, b, c …, without what the server schedules by itself. */
export async function rolloutFleet(server: TestServer, name: string, nodes: number) {
  const { id, secret } = await makeEnvironment(server, name)
  const path = `/environments/${name}/configuration`
  created(await server.operator('PUT', path, STABLE), 200)
  const keys: string[] = []
  for (let index = 0; index < nodes; index += 1)
    keys.push(await enrollHost(server, `${name}-${index}`, { secret }))
  const served = async (index: number) =>
    (await server.agent('/api/osquery/config', { node_key: keys[index] })).text
  const apply = (document: object, rollout?: object, more: object = {}) =>
    server.operator('POST', `${path}/apply`, { document, layers: [], rollout, ...more })
  const move = async (rollout: string, kind: string) =>
    server.operator('POST', `${path}/rollouts/${rollout}/${kind}`)
  const shown = async (rollout: string) =>
    created<Rollout>(await server.operator('GET', `${path}/rollouts/${rollout}`), 200)
  /** The cron, some seconds from now. */
  const cron = (inS = 0) =>
    server.worker.scheduled({ cron: '* * * * *', scheduledTime: new Date(Date.now() + inS * 1_000) })
  const start = async (document: object, rollout: object) => {
    const { rollout: row } = created<{ rollout: Rollout }>(await apply(document, rollout), 200)
    return row
  }
  return { id, secret, path, keys, served, apply, move, shown, cron, start }
}

/** Until a node is served what fits. */
export async function untilServed(
  server: TestServer,
  served: () => Promise<string>,
  fits: (text: string) => boolean,
): Promise<string> {
  let last = ''
  await server
    .until(async () => fits((last = await served())), 12_000)
    .catch(() => expect(last).toBe('what fits'))
  return last
}

export const hostnames = (name: string, ...indexes: number[]) => ({
  hostnames: indexes.map((index) => `${name}-${index}`),
})
