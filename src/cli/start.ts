/**
 * `npm start`: the whole product on this machine. Writes `.local/`, prepares the database, runs `wrangler dev` over HTTPS
 * and stops it in order on SIGINT. start/* knows how each part is done; this file says in which order.
 */

import { setTimeout as sleep } from 'node:timers/promises'
import { join } from 'node:path'

import { announcement } from './start/announcement.ts'
import { CliFailure, runCommand } from './failure.ts'
import type { GuardedProcess } from './start/guarded-process.ts'
import { killGroup, startGuarded } from './start/guarded-process.ts'
import { localEnvironment } from './start/local-environment.ts'
import { ensureLocalFiles } from './start/local-files.ts'
import type { StartOptions } from './start/options.ts'
import { START_USAGE, parseStartOptions } from './start/options.ts'
import { passOn } from './start/output.ts'
import { clearRunRecord, takeOver, writeRunRecord } from './start/run-record.ts'
import { assertPortFree, startServer, stopServer, tickCron, untilHealthy } from './start/server.ts'
import type { StopRequest } from './start/stop-request.ts'
import { listenForStop } from './start/stop-request.ts'

const PREPARE = join(import.meta.dirname, 'start', 'prepare.ts')
const PREPARE_PATIENCE_MS = 5_000
const CRON_PERIOD_MS = 60_000

/** Guarded processes that are not known to have ended. */
const running = new Set<GuardedProcess>()

async function main(): Promise<number> {
  const options = parseStartOptions(process.argv.slice(2))
  if (options === undefined) {
    console.log(START_USAGE)
    return 0
  }
  const stop = listenForStop(killAndExit)
  await takeOver()
  await assertPortFree(options)
  const { certificate } = await ensureLocalFiles(options)
  await prepare(stop)
  if (!stop.signal.aborted) await serve(options, certificate, stop)
  await clearRunRecord()
  return 0
}

async function prepare(stop: StopRequest): Promise<void> {
  const preparation = await keepTrackOf(startGuarded(PREPARE, [], localEnvironment()))
  const output = passOn(preparation.child.stdout, preparation.child.stderr)
  const code = await Promise.race([
    preparation.ended,
    stop.requested.then(() => sleep(PREPARE_PATIENCE_MS, 0)),
  ])
  output.silence()
  killGroup(preparation.groupId)
  running.delete(preparation)
  if (code !== 0) throw new CliFailure('The local database could not be made ready; see above.')
}

async function serve(options: StartOptions, certificate: string, stop: StopRequest): Promise<void> {
  const server = await keepTrackOf(startServer(options))
  const output = passOn(server.child.stdout, server.child.stderr)
  const over = Promise.race([
    server.ended.then(() => 'ended' as const),
    stop.requested.then(() => 'stop' as const),
  ])
  const first = await Promise.race([over, untilHealthy(options, certificate, stop.signal)])
  if (first === undefined) {
    console.log(announcement(options))
    const tick = (atMs: number): void => void tickCron(options, certificate, atMs)
    // As if a minute later: the local queue is gone with its process, so that nobody comes for what lies in the inbox by
    // now, however young it is.
    tick(Date.now() + CRON_PERIOD_MS)
    setInterval(() => tick(Date.now()), CRON_PERIOD_MS).unref()
  }
  if ((await over) === 'ended') {
    killGroup(server.groupId)
    throw new CliFailure('wrangler ended by itself; see above.')
  }
  output.silence()
  console.log('Stopping: requests in flight are answered first ...')
  await stopServer(server, options.port)
  running.delete(server)
}

async function keepTrackOf(started: GuardedProcess): Promise<GuardedProcess> {
  running.add(started)
  await writeRunRecord({ starterPid: process.pid, parentPid: process.ppid, groupIds: [started.groupId] })
  return started
}

function killAndExit(): never {
  for (const { groupId } of running) killGroup(groupId)
  process.exit(1)
}

await runCommand(main)
