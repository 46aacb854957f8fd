/** `npm run simulate`: a fleet on the command line. */
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import process from 'node:process'
import { Command, InvalidArgumentError, Option } from 'commander'
import type { DeedOptions } from './deeds.ts'
import type { FleetEnvironment } from './environment.ts'
import { lookOften, makeEnvironment } from './environment.ts'
import type { Fleet } from './fleet.ts'
import { startFleet } from './fleet.ts'
import { OperatorClient } from './operator-client.ts'
import type { Profile, ProfileName } from './profiles.ts'
import { PROFILES, configurationOf } from './profiles.ts'
import { isGood, reportOf, reportText, sufferingOf } from './report.ts'
import type { Verification } from './verify.ts'
import { subjectOf, verify } from './verify.ts'

interface Arguments {
  readonly nodes: number
  readonly url: string
  readonly secretFile?: string
  readonly environment: string
  readonly ca: string
  readonly operatorTokenFile: string
  readonly profile: ProfileName
  readonly minutes: number
  readonly seed: string
  readonly tempo: number
  readonly spread?: number
  readonly queryEvery?: number
  readonly carveEvery?: number
  readonly deleteEvery?: number
  readonly configureEvery?: number
  readonly operatorIdle?: boolean
  readonly lostReplies?: number
  readonly keepAlive?: boolean
  readonly json?: string
  readonly verify?: boolean
}

const PROGRESS_MS = process.stderr.isTTY ? 1_000 : 10_000
/** Unless --spread says otherwise: members start over a fifth of the run, a minute at most. */
const SPREAD_SHARE = 0.2
const MAX_SPREAD_S = 60
/** Lines are visible within 15 s; a server under load may take longer. */
const VERIFY_PATIENCE_MS = 90_000
/** How often the operator does each thing unasked; the first is late enough for most to have enrolled. */
const DEEDS_A_RUN = 4

const program = new Command('simulate')
  .description(
    'Simulates a fleet of osqueryds: exit code 1 if an agent suffered or, with --verify, if anything is missing.',
  )
  .option('--nodes <n>', 'how many', positive, 100)
  .option('--url <url>', 'base URL of the server', 'https://localhost:8443')
  .option('--ca <file>', 'PEM certificate to trust', '.local/server.pem')
  .option('--operator-token-file <file>', 'file with an operator token', '.local/operator-token')
  .option('--secret-file <file>', 'enroll with this secret instead of in an environment of its own')
  .option('--environment <name>', 'where that secret leads', 'default')
  .addOption(
    new Option('--profile <name>', 'what kind of fleet').choices(Object.keys(PROFILES)).default('servers'),
  )
  .option('--minutes <n>', 'how long', positive, 1)
  .option('--seed <text>', 'who is in it and what happens to them', '1')
  .option('--tempo <n>', 'divides all intervals of the profile', positive, 1)
  .option('--spread <seconds>', 'time over which the nodes start', notNegative)
  .option('--query-every <seconds>', 'opens a live query for all nodes this often', positive)
  .option('--carve-every <seconds>', 'asks five nodes for a file this often', positive)
  .option('--delete-every <seconds>', 'deletes a node this often: its agents enroll anew', positive)
  .option(
    '--configure-every <seconds>',
    'changes the configuration of its own environment this often',
    positive,
  )
  .option(
    '--operator-idle',
    'does none of these unasked; else, in an environment of its own, each is done a few times',
  )
  .option(
    '--lost-replies <share>',
    'share of requests whose reply is lost, instead of the profile’s',
    notNegative,
  )
  .option('--keep-alive', 'reuse connections, which osqueryd does not')
  .option('--json <file>', 'writes the report as JSON')
  .option('--verify', 'afterwards reads everything back and compares')

process.exit(await main(program.parse().opts<Arguments>()))

async function main(args: Arguments): Promise<number> {
  const url = args.url.replace(/\/$/, '')
  const ca = existsSync(args.ca) ? { ca: readFileSync(args.ca, 'utf8') } : {}
  const profile: Profile = {
    ...PROFILES[args.profile],
    ...(args.lostReplies !== undefined && { lostReplyChance: args.lostReplies }),
  }
  const client = new OperatorClient({
    url,
    ...ca,
    token: operatorToken(args),
  })
  const environment = await environmentFor(args, client, profile)
  const sinceMs = Date.now()
  const fleet = startFleet({
    url,
    ...ca,
    enrollSecret: environment.enrollSecret,
    profile,
    nodes: args.nodes,
    seed: args.seed,
    runMs: args.minutes * 60_000,
    spreadMs: 1_000 * (args.spread ?? Math.min(args.minutes * 60 * SPREAD_SHARE, MAX_SPREAD_S)),
    tempo: args.tempo,
    keepAlive: args.keepAlive ?? false,
    stop: stopOnSignal(),
    ...deedsOf(args, client, environment),
  })
  await watch(fleet, args.nodes)
  const facts = {
    url,
    environment: environment.name,
    profile: args.profile,
    seed: args.seed,
    nodes: args.nodes,
    keepAlive: args.keepAlive ?? false,
    elapsedMs: Date.now() - sinceMs,
    cpuMs: cpuMs(),
    maxRssBytes: process.resourceUsage().maxRSS * 1_024,
  }
  const verification = args.verify ? await verified(args, client, environment, fleet, sinceMs) : undefined
  client.close()
  const report = reportOf(facts, fleet, verification)
  console.log(`\n${reportText(report)}`)
  if (args.json !== undefined) writeFileSync(args.json, `${JSON.stringify(report, null, 2)}\n`)
  return isGood(report) ? 0 : 1
}

/** With a secret the fleet itself needs no operator. */
function operatorToken(args: Arguments): string {
  const { carveEvery, deleteEvery, operatorTokenFile, queryEvery, secretFile, verify: isVerified } = args
  const needs =
    [carveEvery, deleteEvery, queryEvery].some((every) => every !== undefined) || isVerified === true
  if (secretFile !== undefined && !needs && !existsSync(operatorTokenFile)) return ''
  return readFileSync(operatorTokenFile, 'utf8').trim()
}

/** What the operator does: what was asked for, and in an environment of the fleet's own each thing some times. */
function deedsOf(args: Arguments, client: OperatorClient, environment: FleetEnvironment): DeedOptions {
  const isOwn = args.secretFile === undefined
  if (!isOwn && args.configureEvery !== undefined)
    throw new Error('--configure-every would change a configuration that others use: leave --secret-file out')
  const unasked = isOwn && args.operatorIdle !== true ? (args.minutes * 60) / DEEDS_A_RUN : undefined
  const deed = (everyS: number | undefined) =>
    everyS === undefined ? undefined : { client, environment: environment.id, everyMs: everyS * 1_000 }
  const [queries, carves] = [deed(args.queryEvery ?? unasked), deed(args.carveEvery ?? unasked)]
  const [deletions, configurations] = [
    deed(args.deleteEvery ?? unasked),
    deed(args.configureEvery ?? unasked),
  ]
  return {
    ...(queries && { queries }),
    ...(carves && { carves }),
    ...(deletions && { deletions }),
    ...(configurations && { configurations }),
  }
}

async function environmentFor(
  args: Arguments,
  client: OperatorClient,
  profile: Profile,
): Promise<FleetEnvironment> {
  if (args.secretFile !== undefined)
    return {
      id: args.environment,
      name: args.environment,
      enrollSecret: readFileSync(args.secretFile, 'utf8'),
    }
  const name = `sim-${args.profile}-${Date.now().toString(36)}`
  console.error(`environment ${name}`)
  const environment = await makeEnvironment(client, name, configurationOf(profile, args.tempo))
  await lookOften(client, environment.id, args.tempo)
  return environment
}

function verified(
  args: Arguments,
  client: OperatorClient,
  environment: FleetEnvironment,
  fleet: Fleet,
  sinceMs: number,
): Promise<Verification> {
  return verify({
    ...subjectOf(fleet),
    client,
    environment: environment.id,
    isShared: args.secretFile !== undefined,
    ...(args.secretFile === undefined && { inventory: { members: fleet.members, url: args.url } }),
    sinceMs,
    patienceMs: VERIFY_PATIENCE_MS,
    onProgress: (text) => console.error(text),
  })
}

/** Writes the progress line until the fleet has ended. */
async function watch(fleet: Fleet, nodes: number): Promise<void> {
  let before = 0
  const startMs = Date.now()
  const write = (): void => {
    const { statistics } = fleet
    const { acknowledged, sent } = statistics.counters.lines
    const rate = Math.round((statistics.requests - before) / (PROGRESS_MS / 1_000))
    before = statistics.requests
    const { crashed, linesDropped, schedulesWiped, wedged } = sufferingOf(fleet)
    const text =
      `${Math.round((Date.now() - startMs) / 1_000)} s: ${statistics.enrolled}/${nodes} enrolled, ${rate} requests/s, ` +
      `${statistics.failures} errors, lines ${acknowledged}/${sent} acknowledged, answers ` +
      `${statistics.counters.queries.acknowledged}/${statistics.counters.queries.answered}, files ` +
      `${statistics.counters.carves.succeeded}/${statistics.counters.carves.scheduled}, suffered: ` +
      `${schedulesWiped} wiped, ${linesDropped} dropped, ${wedged} wedged, ${crashed} crashed, ` +
      `${Math.round(process.memoryUsage.rss() / 2 ** 20)} MiB`
    process.stderr.write(process.stderr.isTTY ? `\r\u001B[K${text}` : `${text}\n`)
  }
  const timer = setInterval(write, PROGRESS_MS)
  try {
    await fleet.ended
  } finally {
    clearInterval(timer)
    if (process.stderr.isTTY) process.stderr.write('\n')
  }
}

/** The first Ctrl-C ends the run and goes on with the report, the second ends the program. */
function stopOnSignal(): AbortSignal {
  const stop = new AbortController()
  process.once('SIGINT', () => stop.abort())
  process.once('SIGTERM', () => stop.abort())
  return stop.signal
}

function cpuMs(): number {
  const { system, user } = process.cpuUsage()
  return (system + user) / 1_000
}

function positive(text: string): number {
  const value = Number(text)
  if (!(value > 0)) throw new InvalidArgumentError('must be a number above 0')
  return value
}

function notNegative(text: string): number {
  const value = Number(text)
  if (!(value >= 0)) throw new InvalidArgumentError('must be a number, 0 or more')
  return value
}
