/**
 * One server per clone: two would write the same files. The record in `.local/run.json` says which processes
 * the running one consists of, so that the next start can tell a live one from the leftovers of a killed one.
 */

import { readFile, rm, writeFile } from 'node:fs/promises'
import { basename } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'

import { CliFailure } from '../failure.ts'
import { LOCAL_FILES, ROOT } from './local-paths.ts'
import type { ProcessEntry } from './processes.ts'
import { listProcesses, signalProcess } from './processes.ts'

// A starter whose npm was killed is draining: longer than its own limit for that.
const LEFTOVER_PATIENCE_MS = 12_000
const POLL_MS = 50

export interface RunRecord {
  starterPid: number
  /** npm, when the starter began: another parent means that npm is gone. */
  parentPid: number
  /** Groups of guarded processes. */
  groupIds: number[]
}

/** Ends what a killed start left behind; fails if a server is running in order. */
export async function takeOver(): Promise<void> {
  const record = await readRecord()
  if (record === undefined) return
  const starter = (await listProcesses()).find(
    ({ pid, command }) => pid === record.starterPid && isStarter(command),
  )
  if (starter !== undefined) {
    if (starter.parentPid === record.parentPid) {
      throw new CliFailure(`Already running in this folder (process ${starter.pid}): stop it first.`)
    }
    signalProcess(starter.pid, 'SIGINT')
    if (!(await gone((entry) => entry.pid === starter.pid))) signalProcess(starter.pid, 'SIGKILL')
  }
  const ours = (entry: ProcessEntry): boolean => isLeftover(entry, record)
  for (const entry of (await listProcesses()).filter(ours)) signalProcess(entry.pid, 'SIGKILL')
  if (!(await gone(ours)))
    throw new CliFailure('Processes of an earlier start do not end; see .local/run.json.')
  await clearRunRecord()
}

export async function writeRunRecord(record: RunRecord): Promise<void> {
  await writeFile(LOCAL_FILES.run, JSON.stringify(record))
}

export async function clearRunRecord(): Promise<void> {
  await rm(LOCAL_FILES.run, { force: true })
}

function isStarter(command: string): boolean {
  return command.includes('src/cli/start.ts') || command.includes('src/cli/serve.ts')
}

/** A process id may have been given to a stranger since: ours name this folder or its runtime. */
function isLeftover({ groupId, command }: ProcessEntry, record: RunRecord): boolean {
  return (
    record.groupIds.includes(groupId) &&
    (command.includes(ROOT) || basename(command.split(' ')[0] ?? '') === 'workerd')
  )
}

async function gone(matches: (entry: ProcessEntry) => boolean): Promise<boolean> {
  const deadlineMs = Date.now() + LEFTOVER_PATIENCE_MS
  while (Date.now() < deadlineMs) {
    if (!(await listProcesses()).some(matches)) return true
    await sleep(POLL_MS)
  }
  return false
}

async function readRecord(): Promise<RunRecord | undefined> {
  try {
    const value: unknown = JSON.parse(await readFile(LOCAL_FILES.run, 'utf8'))
    return isRunRecord(value) ? value : undefined
  } catch {
    // Absent, or cut off by a kill while it was written.
    return undefined
  }
}

function isRunRecord(value: unknown): value is RunRecord {
  if (typeof value !== 'object' || value === null) return false
  if (!('starterPid' in value) || !('parentPid' in value) || !('groupIds' in value)) return false
  return (
    typeof value.starterPid === 'number' &&
    typeof value.parentPid === 'number' &&
    Array.isArray(value.groupIds)
  )
}
