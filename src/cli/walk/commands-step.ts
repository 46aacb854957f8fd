/** Steps: the commands that `npm start` prints work when pasted, and one pass of `npm run agent` is in order. */

import { execFile } from 'node:child_process'
import { join } from 'node:path'

import type { LocalAccess } from './local-files.ts'
import type { NpmRun } from './npm-run.ts'
import type { OperatorApi } from './operator-api.ts'
import { answer } from './query-step.ts'
import type { Seen } from './report.ts'
import { WalkFailure, expect } from './report.ts'
import { logItem, page, query } from './shapes.ts'
import type { RunningServer } from './start-step.ts'
import { userEnvironment } from './user-environment.ts'
import type { WalkingAgent } from './walking-agent.ts'

const COMMAND_WITHIN_MS = 20_000

/** Pastes the two curl commands into a shell in the project's folder. */
export async function pasteCommands(
  folder: string,
  { start }: RunningServer,
  walking: WalkingAgent,
  api: OperatorApi,
): Promise<Seen<undefined>> {
  if (!(await hasCurl())) return { value: undefined, detail: 'left out: this machine has no curl' }
  const commands = start.output.match(/^\s*curl .*$/gm) ?? []
  const asking = commands.find((command) => command.includes('/queries'))
  const reading = commands.find((command) => command.includes('/logs'))
  expect(asking !== undefined && reading !== undefined, `npm start prints ${commands.length} curl commands`)
  const asked = query.safeParse(await pasted(asking, folder))
  expect(asked.success, `not a query: ${asked.error?.message}`)
  await answer(walking, [asked.data.id], api)
  const newest = page(logItem).safeParse(await pasted(reading, folder))
  expect(newest.success, `not a page of log lines: ${newest.error?.message}`)
  expect(newest.data.items.length === 5, `${newest.data.items.length} of the newest 5 lines`)
  return { value: undefined, detail: 'a live query, answered, and the newest log lines, by curl' }
}

/** What npm is to run for one pass of a second machine. */
export function onceArguments(folder: string, { url, paths }: LocalAccess): string[] {
  const stateFile = join(folder, '.local', 'agent-once.json')
  const machine = ['--seed', 'walk-once', '--state-file', stateFile]
  const server = ['--url', url, '--secret-file', paths.enrollSecret, '--ca', paths.certificate]
  return ['run', '--silent', 'agent', '--', '--once', ...machine, ...server]
}

/** The pass must find every endpoint in order. */
export async function passOnce(agent: NpmRun): Promise<Seen<undefined>> {
  const ended = await agent.endedWithin(COMMAND_WITHIN_MS)
  expect(ended === 0, `npm run agent -- --once is ${ended}:\n${agent.output}`)
  const passed = agent.output.match(/^\S.*? {2}ok\b/gm)?.length ?? 0
  expect(passed > 0, `no endpoint is said to be ok:\n${agent.output}`)
  return { value: undefined, detail: `exit code 0, ${passed} endpoints ok` }
}

async function pasted(command: string, folder: string): Promise<unknown> {
  const text = await run('sh', ['-c', command], folder)
  try {
    return JSON.parse(text)
  } catch {
    throw new WalkFailure(`"${command.trim()}" answers ${text.slice(0, 300)}`)
  }
}

async function hasCurl(): Promise<boolean> {
  try {
    await run('curl', ['--version'], '.')
    return true
  } catch {
    return false
  }
}

function run(program: string, args: readonly string[], folder: string): Promise<string> {
  const options = { cwd: folder, env: userEnvironment(process.env), timeout: COMMAND_WITHIN_MS }
  return new Promise((resolve, reject) => {
    execFile(program, args, options, (error, stdout, stderr) => {
      if (error === null) resolve(stdout)
      else
        reject(new WalkFailure(`${program} failed (${error.code ?? error.signal}): ${stderr.slice(0, 500)}`))
    })
  })
}
