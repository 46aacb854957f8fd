/** The machine's processes: what is needed to find, and to end, what a killed `npm start` left behind. */

import { execFile } from 'node:child_process'
import { readFile, readdir } from 'node:fs/promises'
import { promisify } from 'node:util'

export interface ProcessEntry {
  pid: number
  parentPid: number
  groupId: number
  /** Program and arguments, parted by blanks. */
  command: string
}

/** Zombies are left out: they hold nothing and cannot be ended. */
export async function listProcesses(): Promise<ProcessEntry[]> {
  // Not `ps` on Linux: slim container images come without it.
  return process.platform === 'linux' ? listFromProc() : listFromPs()
}

export function signalProcess(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal)
  } catch {
    // Gone already.
  }
}

async function listFromProc(): Promise<ProcessEntry[]> {
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name))
  const entries = await Promise.all(pids.map((pid) => readProc(Number(pid))))
  return entries.filter((entry) => entry !== undefined)
}

async function readProc(pid: number): Promise<ProcessEntry | undefined> {
  try {
    const stat = await readFile(`/proc/${pid}/stat`, 'utf8')
    const command = (await readFile(`/proc/${pid}/cmdline`, 'utf8')).replaceAll('\0', ' ').trim()
    // pid (name) state ppid pgrp ...; the name may hold blanks and brackets.
    const [state, parentPid, groupId] = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    if (state === 'Z') return undefined
    return { pid, parentPid: Number(parentPid), groupId: Number(groupId), command }
  } catch {
    // Ended meanwhile.
    return undefined
  }
}

async function listFromPs(): Promise<ProcessEntry[]> {
  const columns = ['-Ao', 'pid=,ppid=,pgid=,stat=,args=']
  const { stdout } = await promisify(execFile)('ps', columns, { maxBuffer: 64 * 1024 * 1024 })
  return stdout.split('\n').flatMap((line) => {
    const match = /^\s*(\d+)\s+(\d+)\s+(\d+)\s+(\S+)\s+(.*)$/.exec(line)
    if (match === null || match[4]?.startsWith('Z') === true) return []
    const [, pid, parentPid, groupId, , command] = match
    return [
      { pid: Number(pid), parentPid: Number(parentPid), groupId: Number(groupId), command: command ?? '' },
    ]
  })
}
