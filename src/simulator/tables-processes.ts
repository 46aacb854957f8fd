/** The processes table: a stable base and one that changes every minute, so that differentials have something to say. */
import type { TableContext, TableRow } from './sql-types.ts'

const PROCESSES = {
  linux: ['systemd', 'sshd', 'cron', 'rsyslogd', 'nginx', 'postgres', 'dockerd', 'osqueryd'],
  darwin: ['launchd', 'WindowServer', 'Finder', 'Dock', 'Safari', 'Terminal', 'mdworker', 'osqueryd'],
  windows: [
    'System',
    'smss.exe',
    'csrss.exe',
    'lsass.exe',
    'svchost.exe',
    'explorer.exe',
    'chrome.exe',
    'osqueryd.exe',
  ],
} as const

const FOLDER = { linux: '/usr/sbin/', darwin: '/usr/libexec/', windows: 'C:\\Windows\\System32\\' } as const

/** Rows of the processes table at the context's time. */
export function processRows(context: TableContext): TableRow[] {
  const { host } = context
  const base = PROCESSES[host.platform].map((name, i) =>
    processRow(context, i === 0 ? 1 : 400 + i * 37 + host.choice.integer(`pid-${name}`, 30), name, 0),
  )
  const minute = Math.floor(context.nowMs / 60_000)
  const passing = processRow(context, 10_000 + (minute % 20_000), 'backup', 1000)
  return [...base, passing]
}

function processRow(context: TableContext, pid: number, name: string, uid: number): TableRow {
  const { host } = context
  const path = FOLDER[host.platform] + name
  return {
    pid,
    name,
    path,
    cmdline: path,
    state: 'S',
    cwd: host.platform === 'windows' ? 'C:\\' : '/',
    root: host.platform === 'windows' ? '' : '/',
    uid,
    gid: uid,
    euid: uid,
    egid: uid,
    on_disk: 1,
    wired_size: 0,
    resident_size: 4_096 * (500 + host.choice.integer(`resident-${name}`, 40_000)),
    total_size: 4_096 * 60_000,
    user_time: 100 + host.choice.integer(`user-time-${name}`, 9_000),
    system_time: 50 + host.choice.integer(`system-time-${name}`, 4_000),
    start_time: Math.floor(context.startedAtMs / 1000) - host.uptimeAtStartSeconds,
    parent: pid === 1 ? 0 : 1,
    threads: 1 + host.choice.integer(`threads-${name}`, 20),
    nice: 0,
  }
}
