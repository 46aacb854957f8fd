/**
 * `npm run chaos`: starts the run as a guarded process, which cannot outlive us, and takes its data away afterwards. Exit
 * code 0 if every invariant holds, 1 if one is broken, 2 if the run itself went wrong.
 */

import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import process from 'node:process'
import { killGroup, startGuarded } from '../../src/cli/start/guarded-process.ts'
import { parseChaosOptions, USAGE } from './options.ts'

const RUN = join(import.meta.dirname, 'run.ts')
const PREFIX = 'osquery-edge-chaos-'
/** In memory where there is such a folder: else every acknowledgement waits for the disk to sync. */
const SHARED_MEMORY = '/dev/shm'
const INTERRUPTED = 130

async function main(args: readonly string[]): Promise<number> {
  if (parseChaosOptions(args) === undefined) {
    console.log(USAGE)
    return 0
  }
  const base = existsSync(SHARED_MEMORY) ? SHARED_MEMORY : tmpdir()
  removeLeftovers(base)
  const folder = mkdtempSync(join(base, `${PREFIX}${process.pid}-`))
  const run = startGuarded(RUN, [folder, ...args])
  run.child.stdout.pipe(process.stdout)
  run.child.stderr.pipe(process.stderr)
  let isInterrupted = false
  const interrupt = () => {
    isInterrupted = true
    killGroup(run.groupId)
  }
  process.once('SIGINT', interrupt)
  process.once('SIGTERM', interrupt)
  const code = await run.ended
  // Whatever it started is in its group.
  killGroup(run.groupId)
  rmSync(folder, { recursive: true, force: true })
  return isInterrupted ? INTERRUPTED : (code ?? 2)
}

/** Data of runs that were killed: their folder names the process that would have removed it. */
function removeLeftovers(base: string): void {
  for (const name of readdirSync(base)) {
    const pid = Number(/^osquery-edge-chaos-(\d+)-/.exec(name)?.[1] ?? 0)
    if (pid > 0 && !isAlive(pid)) rmSync(join(base, name), { recursive: true, force: true })
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    // Somebody else's process may not be signalled, and is alive.
    return error instanceof Error && 'code' in error && error.code === 'EPERM'
  }
}

try {
  process.exitCode = await main(process.argv.slice(2))
} catch (error) {
  console.error(error instanceof Error ? error.message : error)
  process.exitCode = 2
}
