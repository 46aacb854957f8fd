/** `npm run agent`: one simulated osqueryd on the command line. */
import { existsSync, readFileSync } from 'node:fs'
import path from 'node:path'
import process from 'node:process'
import { Command, InvalidArgumentError, Option } from 'commander'
import { readAgentFile, writeAgentFile } from './agent-file.ts'
import { describeEvent, describeSteps } from './agent-report.ts'
import { SimulatedAgent } from './agent.ts'
import type { EndpointLayout } from './endpoints.ts'
import { endpointsFor } from './endpoints.ts'
import type { HostIdentifierKind, Platform } from './host.ts'
import { checkServer } from './self-check.ts'

interface Arguments {
  readonly url: string
  readonly secretFile: string
  readonly ca: string
  readonly hostIdentifier: HostIdentifierKind
  readonly specifiedIdentifier?: string
  readonly seed: string
  readonly platform: Platform
  readonly carvePath?: string
  readonly stateFile?: string
  readonly layout: EndpointLayout
  readonly environment: string
  readonly flag: Record<string, string>
  readonly once?: boolean
}

/** How often a running agent looks for carves: sooner than osqueryd's minute, because somebody is watching. */
const CARVE_CHECK_INTERVAL_MS = 5_000
/** How often a running agent's state is written, so that a killed one loses little. */
const SAVE_INTERVAL_MS = 2_000
/** `--once` gives a server three tries to enroll: somebody waits for the answer. */
const ONCE_FLAGS = { tls_enroll_max_attempts: '3' }

const program = new Command('agent')
  .description('Simulates an osqueryd: runs until Ctrl-C, or once through every endpoint with --once.')
  .option('--once', 'one pass through every endpoint; exit code 1 if any failed')
  .option('--url <url>', 'base URL of the server', 'https://localhost:8443')
  .option('--secret-file <file>', 'file with the enroll secret', '.local/enroll_secret')
  .option('--ca <file>', 'PEM certificate to trust', '.local/server.pem')
  .option('--seed <text>', 'which machine to be', '1')
  .addOption(choice('--platform <platform>', 'its platform', ['linux', 'darwin', 'windows']))
  .addOption(
    choice('--host-identifier <kind>', 'how it names itself', [
      'uuid',
      'hostname',
      'instance',
      'ephemeral',
      'specified',
    ]),
  )
  .option('--specified-identifier <text>', 'name for --host-identifier specified')
  .option('--carve-path <file>', 'file to carve unasked (default with --once: the --ca file)')
  .option(
    '--state-file <file>',
    'where to keep identity, node key and unsent lines (.local/agent-<seed>.json)',
  )
  .addOption(choice('--layout <layout>', 'paths of the endpoints', ['canonical', 'osctrl', 'zentral']))
  .option('--environment <name>', 'first path segment of the osctrl layout', 'default')
  .option('--flag <name=value>', 'an osquery flag, repeatable', addFlag, {})

await main(program.parse().opts<Arguments>())

async function main(args: Arguments): Promise<void> {
  const stateFile = args.stateFile ?? `.local/agent-${args.seed}.json`
  const state = readAgentFile(stateFile, args.url)
  const agent = new SimulatedAgent({
    url: args.url,
    enrollSecret: readFileSync(args.secretFile, 'utf8'),
    ...(existsSync(args.ca) && { ca: readFileSync(args.ca, 'utf8') }),
    platform: args.platform,
    seed: args.seed,
    endpoints: endpointsFor(args.layout, args.environment),
    hostIdentifier: args.hostIdentifier,
    ...(args.specifiedIdentifier !== undefined && { specifiedIdentifier: args.specifiedIdentifier }),
    flags: { ...(args.once && ONCE_FLAGS), ...args.flag },
    ...(state && { state }),
    carveCheckIntervalMs: CARVE_CHECK_INTERVAL_MS,
    onEvent: (event) => console.log(`${new Date().toISOString()} ${describeEvent(event)}`),
  })
  const save = () => writeAgentFile(stateFile, args.url, agent.exportState())
  try {
    await (args.once ? checkOnce(agent, args) : runUntilStopped(agent, args, save))
  } finally {
    save()
    agent.close()
  }
}

async function checkOnce(agent: SimulatedAgent, args: Arguments): Promise<void> {
  const carvePath = args.carvePath ?? (existsSync(args.ca) ? args.ca : 'package.json')
  const steps = await checkServer(agent, path.resolve(carvePath))
  console.log(describeSteps(steps))
  if (steps.some((step) => !step.isOk)) process.exitCode = 1
}

async function runUntilStopped(agent: SimulatedAgent, args: Arguments, save: () => void): Promise<void> {
  const stop = new AbortController()
  process.once('SIGINT', () => stop.abort())
  process.once('SIGTERM', () => stop.abort())
  if (args.carvePath !== undefined) agent.scheduleCarve([path.resolve(args.carvePath)])
  const { host, hostIdentifier } = agent.identity
  console.log(`${host.platform} ${host.hostname} (${hostIdentifier}) speaks to ${args.url}`)
  const saving = setInterval(save, SAVE_INTERVAL_MS)
  try {
    await agent.run(stop.signal)
    if (!stop.signal.aborted) {
      console.log('ends without a node key, as osqueryd does: its logger cannot start')
      process.exitCode = 1
    }
  } finally {
    clearInterval(saving)
  }
}

function choice(flags: string, description: string, values: readonly [string, ...string[]]): Option {
  return new Option(flags, description).choices(values).default(values[0])
}

function addFlag(text: string, flags: Record<string, string>): Record<string, string> {
  const [name = '', ...value] = text.split('=')
  if (name === '' || value.length === 0) throw new InvalidArgumentError('write it as name=value')
  return { ...flags, [name]: value.join('=') }
}
