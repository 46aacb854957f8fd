/** What `npm run config` does, command by command. */

import { bodyOf, loadFolder, remarksOf, type Checked } from './load.ts'
import { exportInto } from './export.ts'
import { parseConfigOptions, type ConfigOptions } from './options.ts'
import { plain, remarkLine, showCounts, showPlan } from './print.ts'
import { ConfigurationServer, type ServerReply } from './server.ts'
import { presentVersion, runRollout } from './rollout.ts'
import { appliedShape, planShape, problemShape, shaped } from './shapes.ts'
import { CliFailure } from '../failure.ts'
import { UsageError } from '../server-access.ts'
import type { Remark } from '../../config/import/source.ts'
import type { Finding } from '../../config/report.ts'

type WithFolder = Extract<ConfigOptions, { folder: string; command: 'validate' | 'plan' | 'apply' }>

const EXIT_REFUSED = 1
const EXIT_USAGE = 2

/** Where the command's words go. */
export interface Output {
  print: (line: string) => void
  printError: (line: string) => void
}

/** Runs the command; its exit code. Throws CliFailure with what the user can mend. */
export async function runConfig(args: readonly string[], output: Output): Promise<number> {
  const options = optionsOrUsage(args, output)
  if (typeof options === 'number') return options
  switch (options.command) {
    case 'export':
      return runExport(options, output)
    case 'status':
    case 'rollout':
    case 'rollback':
      return runRollout(options, output.print)
    default:
      return runWithFolder(options, output)
  }
}

function optionsOrUsage(args: readonly string[], { print, printError }: Output): ConfigOptions | number {
  try {
    return parseConfigOptions(args, (text) => print(text.trimEnd())) ?? 0
  } catch (error) {
    if (!(error instanceof UsageError)) throw error
    printError(`${error.message}\n\nnpm run config -- help says more.`)
    return EXIT_USAGE
  }
}

async function runWithFolder(options: WithFolder, output: Output): Promise<number> {
  const checked = await loadFolder(options.folder)
  if (!checked.ok) return refused(checked.reason, options, output)
  if (options.command === 'validate') return showValid(checked.value, options, output)
  const server = await ConfigurationServer.of(options.access)
  const more = options.command === 'plan' ? {} : moreOf(options)
  const reply = await server.call('POST', `/${options.command}`, bodyOf(checked.value.loaded, more))
  const isDone = reply.status === 200
  return isDone
    ? show(reply, checked.value, options, output)
    : refusedByServer(reply, checked.value, options, output)
}

/** What apply says beside the files. */
function moreOf(options: Extract<ConfigOptions, { command: 'apply' }>): object {
  const { canary, expectedVersion, isRollout, message, supersede } = options
  return {
    message,
    expectedVersion,
    ...(isRollout ? { rollout: canary === undefined ? {} : { canary } } : {}),
    ...(supersede ? { supersede } : {}),
  }
}

function showValid(
  { loaded, warnings }: Checked,
  { json }: ConfigOptions,
  { print, printError }: Output,
): number {
  if (json) print(JSON.stringify({ result: 'valid', layers: loaded.layers.length, warnings }))
  else {
    for (const warning of warnings) printError(remarkLine(warning, 'warning'))
    print(`valid, with ${loaded.layers.length} layers and ${warnings.length} warnings`)
  }
  return 0
}

/** What plan or apply said. */
function show(
  reply: ServerReply,
  checked: Checked,
  options: ConfigOptions,
  { print, printError }: Output,
): number {
  if (options.json) {
    print(reply.text)
    return 0
  }
  const warn = (findings: readonly Finding[]) => {
    for (const line of warningLines(checked, findings)) printError(line)
  }
  if (options.command === 'plan') {
    const plan = shaped(planShape, reply.text)
    // What lasts until a restart is part of a plan anyhow.
    const lasting = new Set(plan.untilRestart.map(({ pointer }) => pointer))
    warn(plan.warnings.filter(({ pointer }) => !lasting.has(pointer)))
    showPlan(plan, print)
  } else {
    const applied = shaped(appliedShape, reply.text)
    warn(applied.warnings)
    showCounts(applied, print)
    const live = applied.live ? 'live' : 'stored, not live yet'
    print(
      applied.result === 'unchanged'
        ? `version ${applied.version}: unchanged`
        : `version ${applied.version}: ${live}`,
    )
    if (applied.rollout) print(`rollout ${applied.rollout.id} is ${applied.rollout.state}`)
  }
  return 0
}

/** Each once: those of the files, and what only the server knows (costs, budgets, what agents keep), with its lines. */
function warningLines({ loaded, warnings }: Checked, findings: readonly Finding[]): string[] {
  const all = [...warnings, ...remarksOf(findings, loaded.place)]
  return [...new Set(all.map((warning) => remarkLine(warning, 'warning')))]
}

function refused(faults: readonly Remark[], { json }: ConfigOptions, { print, printError }: Output): number {
  if (json) print(JSON.stringify({ result: 'refused', errors: faults }))
  else for (const fault of faults) printError(remarkLine(fault, 'error'))
  return EXIT_REFUSED
}

function refusedByServer(
  reply: ServerReply,
  { loaded }: Checked,
  options: ConfigOptions,
  output: Output,
): number {
  if (reply.status === 422) return refused(remarksOf(problemOf(reply).errors, loaded.place), options, output)
  granted(reply)
  return EXIT_REFUSED
}

/** A reply that is what was asked for; a failure says what the server said instead. */
function granted(reply: ServerReply): ServerReply {
  if (reply.status === 200) return reply
  throw new CliFailure(plain(`The server refuses (${reply.status}): ${problemOf(reply).detail}`))
}

async function runExport(
  options: Extract<ConfigOptions, { command: 'export' }>,
  { print }: Output,
): Promise<number> {
  const server = await ConfigurationServer.of(options.access)
  const version = await presentVersion(server)
  const whole = granted(await server.call('GET', `/versions/${version}`))
  const exported = await exportInto(options.folder, whole, granted(await server.intervals()), options.force)
  if (options.json) print(JSON.stringify({ version, ...exported }))
  else {
    for (const path of exported.written) print(plain(`written  ${path}`))
    for (const path of exported.removed) print(plain(`removed  ${path}`))
    print(exported.unchanged ? `version ${version}: unchanged` : `version ${version}: exported`)
  }
  return 0
}

function problemOf(reply: ServerReply) {
  const isProblem = reply.text.startsWith('{')
  return isProblem
    ? shaped(problemShape, reply.text)
    : { detail: 'it says nothing that is understood here', errors: [] }
}
