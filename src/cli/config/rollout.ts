/** `npm run config -- status|rollout|rollback`: where a version on its way is, and what an operator does about it. */

import { z } from 'zod'

import { CliFailure } from '../failure.ts'
import { plain } from './print.ts'
import type { ConfigOptions } from './options.ts'
import { ConfigurationServer } from './server.ts'
import { problemShape, shaped } from './shapes.ts'

const rolloutShape = z.object({
  id: z.string(),
  version: z.number(),
  stableVersion: z.number(),
  state: z.string(),
  step: z.number(),
  steps: z.array(z.object({ percent: z.number(), waitSeconds: z.number() })),
  stepSeconds: z.number(),
  members: z.number().optional(),
  served: z.boolean(),
  gates: z.array(z.object({ gate: z.string(), status: z.string(), detail: z.string() })),
  reason: z.object({ by: z.string(), detail: z.string() }).nullable(),
  clearing: z.boolean(),
})
const holdersShape = z.object({
  stableVersion: z.number(),
  nodes: z.number(),
  current: z.number(),
  behind: z.number(),
  never: z.number(),
  versions: z.array(z.object({ version: z.number(), nodes: z.number() })),
})
const listShape = z.object({ items: z.array(rolloutShape) })
const presentShape = z.object({ version: z.number() })

export type RolloutOptions = Extract<ConfigOptions, { command: 'status' | 'rollout' | 'rollback' }>
type Rollout = z.infer<typeof rolloutShape>

/** Runs the command; its exit code. Throws CliFailure where the server refuses. */
export async function runRollout(options: RolloutOptions, print: (line: string) => void): Promise<number> {
  const server = await ConfigurationServer.of(options.access)
  const newest = shaped(listShape, await granted(server, 'GET', '/rollouts?limit=1')).items[0]
  if (options.command === 'status') return status(server, newest, options.json, print)
  if (newest === undefined) throw new CliFailure('There is no rollout.')
  const move = 'move' in options ? options.move : 'rollback'
  const text = await granted(server, 'POST', `/rollouts/${newest.id}/${move}`)
  if (options.json) print(text)
  else showRollout(shaped(rolloutShape, text), print)
  return 0
}

/** The number of the version that all nodes get which are in no rollout. */
export async function presentVersion(server: ConfigurationServer): Promise<number> {
  return shaped(presentShape, await granted(server, 'GET', '/layers')).version
}

async function status(
  server: ConfigurationServer,
  newest: Rollout | undefined,
  json: boolean,
  print: (line: string) => void,
): Promise<number> {
  const holdersText = await granted(server, 'GET', '/holders')
  // By itself it says what its gates say now.
  const rolloutText = newest && (await granted(server, 'GET', `/rollouts/${newest.id}`))
  if (json) {
    print(`{"holders":${holdersText},"rollout":${rolloutText ?? 'null'}}`)
    return 0
  }
  const { stableVersion, nodes, current, behind, never, versions } = shaped(holdersShape, holdersText)
  print(`version ${stableVersion} is what nodes get where they are in no rollout`)
  print(`${current} of ${nodes} nodes have what they are to have; ${behind} are behind, ${never} never asked`)
  for (const each of versions) print(`version ${each.version}: ${each.nodes} nodes`)
  if (rolloutText !== undefined) showRollout(shaped(rolloutShape, rolloutText), print)
  return 0
}

function showRollout(rollout: Rollout, print: (line: string) => void): void {
  const { id, version, stableVersion, state, step, steps, stepSeconds, members, reason, gates } = rollout
  const own = steps[step - 1]
  print(`rollout ${id}: version ${version} over version ${stableVersion} is ${state}`)
  print(
    `  step ${step} of ${steps.length} (${own?.percent ?? 0} %), ${stepSeconds} of ${own?.waitSeconds ?? 0} s` +
      `${members === undefined ? '' : `, ${members} members`}${rollout.served ? '' : ', who get it no more'}`,
  )
  if (reason !== null) print(plain(`  by ${reason.by}${reason.detail === '' ? '' : `: ${reason.detail}`}`))
  if (rollout.clearing) print('  nodes that had it are told the defaults of its options')
  for (const { gate, status: said, detail } of gates) print(plain(`  ${gate}: ${said}, ${detail}`))
}

async function granted(server: ConfigurationServer, method: 'GET' | 'POST', path: string): Promise<string> {
  const { status: code, text } = await server.call(method, path)
  if (code === 200) return text
  const detail = text.startsWith('{')
    ? shaped(problemShape, text).detail
    : 'for no reason that is understood here'
  throw new CliFailure(plain(`The server refuses (${code}): ${detail}`))
}
