/** Tables about the machine and the agent itself; the first rows of some are enroll's `host_details`. */
import type { Platform } from './host.ts'
import { PLATFORM_MASK } from './host.ts'
import type { TableContext, TableRow, TableSet } from './sql-types.ts'

const OS_VERSION: Readonly<Record<Platform, TableRow>> = {
  linux: {
    name: 'Ubuntu',
    version: '24.04.1 LTS (Noble Numbat)',
    major: 24,
    minor: 4,
    patch: 0,
    build: '',
    platform: 'ubuntu',
    platform_like: 'debian',
    codename: 'noble',
    arch: 'x86_64',
  },
  darwin: {
    name: 'macOS',
    version: '15.2',
    major: 15,
    minor: 2,
    patch: 0,
    build: '24C101',
    platform: 'darwin',
    platform_like: 'darwin',
    codename: '',
    arch: 'arm64',
  },
  windows: {
    name: 'Microsoft Windows 11 Enterprise',
    version: '10.0.26100',
    major: 10,
    minor: 0,
    patch: 0,
    build: '26100',
    platform: 'windows',
    platform_like: 'windows',
    codename: 'Microsoft Windows 11 Enterprise',
    arch: '64-bit',
  },
}

const KERNEL: Readonly<Record<Platform, TableRow>> = {
  linux: {
    version: '6.8.0-51-generic',
    arguments: 'ro quiet splash',
    path: '/boot/vmlinuz-6.8.0-51-generic',
    device: '/dev/mapper/ubuntu--vg-ubuntu--lv',
  },
  darwin: { version: '24.2.0', arguments: '', path: '/System/Library/Kernels/kernel', device: '' },
  windows: {
    version: '10.0.26100.2605',
    arguments: '',
    path: 'C:\\Windows\\System32\\ntoskrnl.exe',
    device: '',
  },
}

/** System tables, on every platform. */
export const SYSTEM_TABLES: TableSet = {
  osquery_info: {
    columns:
      'pid INTEGER, uuid TEXT, instance_id TEXT, version TEXT, config_hash TEXT, config_valid INTEGER, extensions TEXT,' +
      ' build_platform TEXT, build_distro TEXT, start_time INTEGER, watcher INTEGER, platform_mask INTEGER',
    isVolatile: true,
    rows: (context) => [
      {
        pid: context.pid,
        uuid: context.host.uuid,
        instance_id: context.instanceId,
        version: context.version,
        config_hash: context.configHash,
        config_valid: context.configHash === '' ? 0 : 1,
        extensions: 'active',
        build_platform: context.host.platform,
        build_distro: { linux: 'centos7', darwin: '10.14', windows: '10' }[context.host.platform],
        start_time: seconds(context.startedAtMs),
        watcher: context.pid - 2,
        platform_mask: Number(PLATFORM_MASK[context.host.platform]),
      },
    ],
  },
  os_version: {
    columns:
      'name TEXT, version TEXT, major INTEGER, minor INTEGER, patch INTEGER, build TEXT, platform TEXT,' +
      ' platform_like TEXT, codename TEXT, arch TEXT',
    rows: ({ host }) => [OS_VERSION[host.platform]],
  },
  system_info: {
    columns:
      'hostname TEXT, uuid TEXT, cpu_type TEXT, cpu_subtype TEXT, cpu_brand TEXT, cpu_physical_cores INTEGER,' +
      ' cpu_logical_cores INTEGER, cpu_sockets INTEGER, cpu_microcode TEXT, physical_memory BIGINT,' +
      ' hardware_vendor TEXT, hardware_model TEXT, hardware_version TEXT, hardware_serial TEXT, board_vendor TEXT,' +
      ' board_model TEXT, board_version TEXT, board_serial TEXT, computer_name TEXT, local_hostname TEXT',
    rows: ({ host }) => [
      {
        hostname: host.hostname,
        uuid: host.uuid,
        cpu_type: host.platform === 'darwin' ? 'arm64e' : 'x86_64',
        cpu_subtype: host.platform === 'darwin' ? 'ARM64E' : '207',
        cpu_brand: host.cpuBrand,
        cpu_physical_cores: host.cores / 2,
        cpu_logical_cores: host.cores,
        cpu_sockets: 1,
        cpu_microcode: host.platform === 'darwin' ? '' : '0xf4',
        physical_memory: host.memoryBytes,
        hardware_vendor: host.vendor,
        hardware_model: host.model,
        hardware_version: '1.0',
        hardware_serial: host.serial,
        board_vendor: host.vendor,
        board_model: '',
        board_version: '',
        board_serial: `${host.serial}B`,
        computer_name: host.hostname,
        local_hostname: host.hostname,
      },
    ],
  },
  platform_info: {
    columns:
      'vendor TEXT, version TEXT, date TEXT, revision TEXT, address TEXT, size TEXT, volume_size INTEGER, extra TEXT,' +
      ' firmware_type TEXT',
    rows: ({ host }) => [
      {
        vendor: host.vendor,
        version: '2.14.1',
        date: '12/05/2025',
        revision: '2.14',
        address: '0xf0000',
        size: '33554432',
        volume_size: 0,
        extra: '',
        firmware_type: 'uefi',
      },
    ],
  },
  kernel_info: {
    columns: 'version TEXT, arguments TEXT, path TEXT, device TEXT',
    rows: ({ host }) => [KERNEL[host.platform]],
  },
  uptime: {
    columns: 'days INTEGER, hours INTEGER, minutes INTEGER, seconds INTEGER, total_seconds BIGINT',
    isVolatile: true,
    rows: (context) => {
      const total = uptimeSeconds(context)
      return [
        {
          days: Math.floor(total / 86_400),
          hours: Math.floor(total / 3_600) % 24,
          minutes: Math.floor(total / 60) % 60,
          seconds: total % 60,
          total_seconds: total,
        },
      ]
    },
  },
  time: {
    columns:
      'weekday TEXT, year INTEGER, month INTEGER, day INTEGER, hour INTEGER, minutes INTEGER, seconds INTEGER,' +
      ' timezone TEXT, local_timezone TEXT, unix_time INTEGER, timestamp TEXT, datetime TEXT, iso_8601 TEXT',
    isVolatile: true,
    rows: (context) => {
      const now = new Date(context.nowMs)
      const iso = `${now.toISOString().slice(0, 19)}Z`
      return [
        {
          weekday: now.toLocaleDateString('en-US', { weekday: 'long', timeZone: 'UTC' }),
          year: now.getUTCFullYear(),
          month: now.getUTCMonth() + 1,
          day: now.getUTCDate(),
          hour: now.getUTCHours(),
          minutes: now.getUTCMinutes(),
          seconds: now.getUTCSeconds(),
          timezone: 'UTC',
          local_timezone: 'UTC',
          unix_time: seconds(context.nowMs),
          timestamp: calendarTime(context.nowMs),
          datetime: iso,
          iso_8601: iso,
        },
      ]
    },
  },
  osquery_schedule: {
    columns:
      'name TEXT, query TEXT, interval INTEGER, executions BIGINT, last_executed BIGINT, denylisted INTEGER,' +
      ' output_size BIGINT, wall_time BIGINT, wall_time_ms BIGINT, last_wall_time_ms BIGINT, user_time BIGINT,' +
      ' last_user_time BIGINT, system_time BIGINT, last_system_time BIGINT, average_memory BIGINT,' +
      ' last_memory BIGINT',
    isVolatile: true,
    rows: (context) =>
      context.schedule.map(({ performance: cost, ...entry }) => ({
        name: entry.name,
        query: entry.query,
        interval: entry.intervalSeconds,
        executions: entry.executions,
        last_executed: entry.lastExecutedSeconds,
        denylisted: Number(entry.isDenylisted),
        output_size: cost.outputBytes,
        wall_time: Math.floor(cost.wallMs / 1_000),
        wall_time_ms: cost.wallMs,
        last_wall_time_ms: cost.lastWallMs,
        user_time: cost.userMs,
        last_user_time: cost.lastUserMs,
        system_time: cost.systemMs,
        last_system_time: cost.lastSystemMs,
        average_memory: cost.averageMemoryBytes,
        last_memory: cost.lastMemoryBytes,
      })),
  },
  osquery_flags: {
    columns: 'name TEXT, type TEXT, description TEXT, default_value TEXT, value TEXT, shell_only INTEGER',
    isVolatile: true,
    rows: (context) =>
      Object.entries(context.flags).map(([name, value]) => ({
        name,
        type: 'string',
        description: '',
        default_value: '',
        value,
        shell_only: 0,
      })),
  },
}

/** `asctime` in UTC with osquery's suffix: `Tue Sep  8 17:37:30 2026 UTC`, the day padded with a space. */
export function calendarTime(timeMs: number): string {
  const [weekday = '', day = '', month = '', year = '', clock = ''] = new Date(timeMs)
    .toUTCString()
    .replace(',', '')
    .split(' ')
  return `${weekday} ${month} ${String(Number(day)).padStart(2)} ${clock} ${year} UTC`
}

function uptimeSeconds(context: TableContext): number {
  return context.host.uptimeAtStartSeconds + seconds(context.nowMs - context.startedAtMs)
}

function seconds(timeMs: number): number {
  return Math.floor(timeMs / 1000)
}
