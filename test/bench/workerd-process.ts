/** The workerd process that this one started, and what it uses. Linux only: elsewhere nothing is known. */

import { readdirSync, readFileSync } from 'node:fs'

/** `getconf CLK_TCK` is 100 on every Linux that Node supports. */
const TICK_MS = 10

export interface ProcessUse {
  /** User and system time of all threads since the start. */
  cpuMs: number
  residentBytes: number
}

/** The process id of the workerd that is a child of ours; null where that cannot be told. */
export function findWorkerd(): number | null {
  try {
    for (const name of readdirSync('/proc')) {
      if (!/^\d+$/.test(name)) continue
      const stat = statOf(Number(name))
      if (stat !== null && stat.command.startsWith('workerd') && stat.parent === process.pid)
        return Number(name)
    }
  } catch {
    // No /proc here.
  }
  return null
}

/** What the process has used so far. It includes everything in it: HTTP, the Worker, and the local stand-ins. */
export function useOf(pid: number | null): ProcessUse | null {
  const stat = pid === null ? null : statOf(pid)
  return stat === null ? null : { cpuMs: stat.cpuMs, residentBytes: stat.residentBytes }
}

function statOf(
  pid: number,
): { command: string; parent: number; cpuMs: number; residentBytes: number } | null {
  let text: string
  try {
    text = readFileSync(`/proc/${pid}/stat`, 'utf8')
  } catch {
    // It ended meanwhile.
    return null
  }
  // The command stands in parentheses and may hold anything (proc(5)).
  const end = text.lastIndexOf(')')
  const fields = text.slice(end + 2).split(' ')
  const field = (number: number) => Number(fields[number - 3] ?? 0)
  return {
    command: text.slice(text.indexOf('(') + 1, end),
    parent: field(4),
    cpuMs: (field(14) + field(15)) * TICK_MS,
    residentBytes: field(24) * 4_096,
  }
}
