/** Prepares what `npm start` prepares, then runs the runtime as a guarded process until somebody stops it. */

import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'

import { CliFailure } from '../failure.ts'
import type { GuardedProcess } from '../start/guarded-process.ts'
import { killGroup, startGuarded } from '../start/guarded-process.ts'
import { localEnvironment } from '../start/local-environment.ts'
import { ensureLocalFiles } from '../start/local-files.ts'
import { passOn } from '../start/output.ts'
import { clearRunRecord, takeOver, writeRunRecord } from '../start/run-record.ts'
import { assertPortFree, stopServer } from '../start/server.ts'
import type { StopRequest } from '../start/stop-request.ts'
import { listenForStop } from '../start/stop-request.ts'
import { announcement } from './announcement.ts'
import type { ServeOptions } from './options.ts'

const PREPARE = join(import.meta.dirname, '..', 'start', 'prepare.ts')
const RUNTIME = join(import.meta.dirname, 'runtime.ts')
const HEALTH_POLL_MS = 100

const running = new Set<GuardedProcess>()

/** Resolves with the exit code when the server has stopped. */
export async function serve(options: ServeOptions): Promise<number> {
  const stop = listenForStop(killAndExit)
  await takeOver()
  await assertPortFree(options)
  await ensureLocalFiles(options)
  await prepare()
  if (!stop.signal.aborted) await run(options, stop)
  await clearRunRecord()
  return 0
}

async function prepare(): Promise<void> {
  const preparation = await keepTrackOf(startGuarded(PREPARE, [], localEnvironment()))
  passOn(preparation.child.stdout, preparation.child.stderr)
  const code = await preparation.ended
  killGroup(preparation.groupId)
  running.delete(preparation)
  if (code !== 0) throw new CliFailure('The local database could not be made ready; see above.')
}

async function run(options: ServeOptions, stop: StopRequest): Promise<void> {
  const runtime = await keepTrackOf(
    startGuarded(RUNTIME, [options.ip, String(options.port)], {
      ...localEnvironment(),
      // It says where it found the secrets.
      WRANGLER_LOG: 'warn',
    }),
  )
  const output = passOn(runtime.child.stdout, runtime.child.stderr)
  const over = Promise.race([
    runtime.ended.then(() => 'ended' as const),
    stop.requested.then(() => 'stop' as const),
  ])
  if ((await Promise.race([over, untilHealthy(options, stop.signal)])) === undefined)
    console.log(announcement(options))
  if ((await over) === 'ended') {
    killGroup(runtime.groupId)
    throw new CliFailure('The runtime ended by itself; see above.')
  }
  output.silence()
  console.log('Stopping: requests in flight are answered first ...')
  await stopServer(runtime, options.port)
  running.delete(runtime)
}

async function untilHealthy({ ip, port }: ServeOptions, signal: AbortSignal): Promise<void> {
  const host = ip.includes(':') ? `[${ip}]` : ip
  while (!signal.aborted) {
    const status = await fetch(`http://${host}:${port}/health`).then(
      (reply) => reply.status,
      () => 0,
    )
    if (status === 200) return
    await sleep(HEALTH_POLL_MS)
  }
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
