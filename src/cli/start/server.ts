/** The running server: `wrangler dev` as a guarded process, how to know that it is ready, how to stop it in order. */

import { createServer } from 'node:net'
import { request } from 'node:https'
import { setTimeout as sleep } from 'node:timers/promises'

import { CliFailure } from '../failure.ts'
import { WRANGLER } from '../wrangler.ts'
import type { GuardedProcess } from './guarded-process.ts'
import { killGroup, startGuarded } from './guarded-process.ts'
import { localEnvironment } from './local-environment.ts'
import { LOCAL_FILES, STATE } from './local-paths.ts'
import type { StartOptions } from './options.ts'
import { probeAddress } from './options.ts'
import type { ProcessEntry } from './processes.ts'
import { listProcesses, signalProcess } from './processes.ts'

const READY_POLL_MS = 50
const PROBE_TIMEOUT_MS = 5_000
const STOP_POLL_MS = 25
// Requests that came in before the port closed reach the Worker's runtime within this time.
const LAST_REQUESTS_MS = 150
// Longer than any answer takes (design R10: 8 s), but for a held distributed read, by whose end nothing is lost.
const DRAIN_MS = 8_000
const EXIT_MS = 2_000

/** wrangler would choose another port by itself. */
export async function assertPortFree({ ip, port }: StartOptions): Promise<void> {
  const server = createServer()
  try {
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject).listen({ host: ip, port, exclusive: true }, resolve)
    })
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : undefined
    if (code === 'EADDRINUSE') {
      throw new CliFailure(
        `Port ${port} is in use: stop the program that uses it, or choose another with --port N.`,
      )
    }
    if (code === 'EACCES')
      throw new CliFailure(`Port ${port} may not be used by this user: choose one with --port N.`)
    if (code === 'EADDRNOTAVAIL') throw new CliFailure(`This machine has no address ${ip}.`)
    throw error
  }
  await new Promise((resolve) => server.close(resolve))
}

export function startServer({ ip, port }: StartOptions): GuardedProcess {
  const args = [
    'dev',
    `--ip=${ip}`,
    `--port=${port}`,
    '--inspector-port=0',
    '--local-protocol=https',
    `--https-key-path=${LOCAL_FILES.certificateKey}`,
    `--https-cert-path=${LOCAL_FILES.certificate}`,
    `--env-file=${LOCAL_FILES.secrets}`,
    `--persist-to=${STATE}`,
    '--show-interactive-dev-session=false',
    '--log-level=warn',
  ]
  return startGuarded(WRANGLER, args, localEnvironment())
}

/** Resolves when `/health` is 200; for ever patient, because wrangler waits for a broken source to be mended. */
export async function untilHealthy(
  options: StartOptions,
  certificate: string,
  signal: AbortSignal,
): Promise<void> {
  while (!signal.aborted) {
    if ((await probe(options, certificate, '/health')) === 200) return
    await sleep(READY_POLL_MS)
  }
}

/**
 * One tick of the cron trigger, which local development does not fire by itself; the Worker is told that it is `atMs`.
 * A miss is made up by the next one.
 */
export async function tickCron(options: StartOptions, certificate: string, atMs: number): Promise<void> {
  await probe(options, certificate, `/cdn-cgi/local/scheduled?cron=*+*+*+*+*&time=${atMs}`)
}

/**
 * Requests in flight are answered, then everything ends. On SIGTERM workerd stops to listen, answers what it has
 * and exits; first the one that has the port, then the one that runs the Worker, whose exit is the sign that all is answered.
 */
export async function stopServer({ groupId, ended, child }: GuardedProcess, port: number): Promise<void> {
  const runtimes = (await listProcesses()).filter((entry) => entry.groupId === groupId && isRuntime(entry))
  const owners = runtimes.filter(
    ({ command }) => command.includes(`--socket-addr=entry=`) && ownsPort(command, port),
  )
  const workers = runtimes.filter((runtime) => !owners.includes(runtime))
  for (const { pid } of owners) signalProcess(pid, 'SIGTERM')
  if (owners.length > 0) await sleep(LAST_REQUESTS_MS)
  for (const { pid } of workers) signalProcess(pid, 'SIGTERM')
  await untilGone(({ pid }) => workers.some((worker) => worker.pid === pid), DRAIN_MS)
  // wrangler tidies up on SIGTERM; what is left then has nothing to lose.
  child.kill('SIGTERM')
  await Promise.race([ended, sleep(EXIT_MS, undefined, { ref: false })])
  killGroup(groupId)
  await untilGone((entry) => entry.groupId === groupId, EXIT_MS)
}

function isRuntime({ command }: ProcessEntry): boolean {
  return /\bworkerd serve /.test(command)
}

function ownsPort(command: string, port: number): boolean {
  return new RegExp(`--socket-addr=entry=\\S*:${port}( |$)`).test(command)
}

async function untilGone(matches: (entry: ProcessEntry) => boolean, patienceMs: number): Promise<void> {
  const deadlineMs = Date.now() + patienceMs
  while (Date.now() < deadlineMs && (await listProcesses()).some(matches)) await sleep(STOP_POLL_MS)
}

/** The status of a GET; `undefined` when there is no answer. */
function probe(options: StartOptions, certificate: string, path: string): Promise<number | undefined> {
  return new Promise((resolve) => {
    const { port } = options
    const target = {
      host: probeAddress(options),
      port,
      path,
      ca: certificate,
      agent: false,
      timeout: PROBE_TIMEOUT_MS,
    }
    const probing = request(target, (response) => {
      response.resume().once('close', () => resolve(response.statusCode))
    })
    probing.once('timeout', () => probing.destroy(new Error('no answer in time')))
    probing.once('error', () => resolve(undefined))
    probing.end()
  })
}
