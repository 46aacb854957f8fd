/** Tables about what is on the machine: accounts, software, network, mounts. */
import type { SimulatedHost } from './host.ts'
import type { TableRow, TableSet } from './sql-types.ts'
import { processRows } from './tables-processes.ts'

const PACKAGES = [
  ['openssl', '3.0.13-0ubuntu3.4'],
  ['bash', '5.2.21-2ubuntu4'],
  ['curl', '8.5.0-2ubuntu10.6'],
  ['libc6', '2.39-0ubuntu8.3'],
  ['openssh-server', '1:9.6p1-3ubuntu13.5'],
  ['sudo', '1.9.15p5-3ubuntu5'],
  ['systemd', '255.4-1ubuntu8.4'],
  ['python3', '3.12.3-0ubuntu2'],
  ['nginx', '1.24.0-2ubuntu7.1'],
  ['postgresql-16', '16.6-0ubuntu0.24.04.1'],
  ['docker.io', '26.1.3-0ubuntu1~24.04.1'],
  ['vim', '2:9.1.0016-1ubuntu7.5'],
] as const

const PROGRAMS = [
  ['Google Chrome', '131.0.6778.140', 'Google LLC'],
  ['7-Zip 24.08 (x64)', '24.08', 'Igor Pavlov'],
  ['Microsoft Edge', '131.0.2903.99', 'Microsoft Corporation'],
  ['Mozilla Firefox (x64 en-US)', '133.0.3', 'Mozilla'],
] as const

const USER_COLUMNS =
  'uid BIGINT, gid BIGINT, uid_signed BIGINT, gid_signed BIGINT, username TEXT, description TEXT, directory TEXT,' +
  ' shell TEXT, uuid TEXT'

/** Inventory tables of every platform. */
export const INVENTORY_TABLES: TableSet = {
  users: { columns: USER_COLUMNS, rows: ({ host }) => userRows(host) },
  groups: {
    columns: 'gid BIGINT, gid_signed BIGINT, groupname TEXT',
    rows: ({ host }) => groupNames(host).map(([gid, groupname]) => ({ gid, gid_signed: gid, groupname })),
  },
  processes: {
    columns:
      'pid BIGINT, name TEXT, path TEXT, cmdline TEXT, state TEXT, cwd TEXT, root TEXT, uid BIGINT, gid BIGINT,' +
      ' euid BIGINT, egid BIGINT, on_disk INTEGER, wired_size BIGINT, resident_size BIGINT, total_size BIGINT,' +
      ' user_time BIGINT, system_time BIGINT, start_time BIGINT, parent BIGINT, threads INTEGER, nice INTEGER',
    isVolatile: true,
    rows: processRows,
  },
  listening_ports: {
    columns:
      'pid INTEGER, port INTEGER, protocol INTEGER, family INTEGER, address TEXT, fd BIGINT, socket BIGINT, path TEXT',
    rows: ({ host }) =>
      [22, 443, 5432, 8080]
        .filter((port) => port === 22 || host.choice.integer(`port-${port}`, 2) === 0)
        .map((port) => ({
          pid: 700 + (port % 97),
          port,
          protocol: 6,
          family: 2,
          address: '0.0.0.0',
          fd: 3,
          socket: 20_000 + port,
        })),
  },
  interface_addresses: {
    columns: 'interface TEXT, address TEXT, mask TEXT, broadcast TEXT, point_to_point TEXT, type TEXT',
    rows: ({ host }) => [
      {
        interface: 'lo',
        address: '127.0.0.1',
        mask: '255.0.0.0',
        broadcast: '',
        point_to_point: '127.0.0.1',
        type: 'unknown',
      },
      {
        interface: 'eth0',
        address: host.address,
        mask: '255.0.0.0',
        broadcast: '10.255.255.255',
        point_to_point: '',
        type: 'dhcp',
      },
    ],
  },
  interface_details: {
    columns: 'interface TEXT, mac TEXT, type INTEGER, mtu INTEGER, ibytes BIGINT, obytes BIGINT',
    rows: ({ host }) => [
      { interface: 'lo', mac: '00:00:00:00:00:00', type: 772, mtu: 65_536, ibytes: 1_000, obytes: 1_000 },
      { interface: 'eth0', mac: host.mac, type: 1, mtu: 1_500, ibytes: 900_000_000, obytes: 120_000_000 },
    ],
  },
  logged_in_users: {
    columns: 'type TEXT, user TEXT, tty TEXT, host TEXT, time BIGINT, pid INTEGER',
    rows: ({ host, startedAtMs }) =>
      host.people.slice(0, 1).map((user) => ({
        type: 'user',
        user,
        tty: 'tty1',
        host: '',
        time: Math.floor(startedAtMs / 1_000),
        pid: 1_000 + host.choice.integer('login-pid', 5_000),
      })),
  },
  etc_hosts: {
    columns: 'address TEXT, hostnames TEXT',
    rows: ({ host }) => [
      { address: '127.0.0.1', hostnames: 'localhost' },
      { address: '127.0.1.1', hostnames: host.hostname },
      { address: '::1', hostnames: 'ip6-localhost ip6-loopback' },
    ],
  },
}

/** Tables of the POSIX platforms. */
export const POSIX_TABLES: TableSet = {
  mounts: {
    columns:
      'device TEXT, device_alias TEXT, path TEXT, type TEXT, blocks_size BIGINT, blocks BIGINT, blocks_free BIGINT,' +
      ' blocks_available BIGINT, inodes BIGINT, inodes_free BIGINT, flags TEXT',
    rows: ({ host }) => [
      mountRow(host, '/'),
      mountRow(host, host.platform === 'darwin' ? '/System/Volumes/Data' : '/boot'),
    ],
  },
  crontab: {
    columns:
      'event TEXT, minute TEXT, hour TEXT, day_of_month TEXT, month TEXT, day_of_week TEXT, command TEXT, path TEXT',
    rows: ({ host }) => [
      {
        event: '',
        minute: String(host.choice.integer('cron-minute', 60)),
        hour: '4',
        day_of_month: '*',
        month: '*',
        day_of_week: '*',
        command: 'root /usr/local/bin/backup --all',
        path: '/etc/crontab',
      },
    ],
  },
}

/** Tables of Linux alone. */
export const LINUX_TABLES: TableSet = {
  deb_packages: {
    columns:
      'name TEXT, version TEXT, source TEXT, size BIGINT, arch TEXT, revision TEXT, status TEXT, maintainer TEXT,' +
      ' section TEXT, priority TEXT',
    rows: ({ host }) =>
      PACKAGES.filter(([name], i) => i < 8 || host.choice.integer(`package-${name}`, 2) === 0).map(
        ([name, version]) => ({
          name,
          version,
          source: '',
          size: 100 + host.choice.integer(`size-${name}`, 9_000),
          arch: 'amd64',
          revision: version.split('-')[1] ?? '',
          status: 'install ok installed',
          maintainer: 'Ubuntu Developers <ubuntu-devel-discuss@lists.ubuntu.com>',
          section: 'utils',
          priority: 'optional',
        }),
      ),
  },
}

/** Tables of Windows alone. */
export const WINDOWS_TABLES: TableSet = {
  programs: {
    columns:
      'name TEXT, version TEXT, install_location TEXT, install_source TEXT, language TEXT, publisher TEXT,' +
      ' uninstall_string TEXT, install_date TEXT, identifying_number TEXT',
    rows: ({ host }) =>
      PROGRAMS.filter(([name], i) => i < 2 || host.choice.integer(`program-${name}`, 2) === 0).map(
        ([name, version, publisher]) => ({
          name,
          version,
          publisher,
          install_location: `C:\\Program Files\\${name}`,
          install_source: '',
          language: '1033',
          uninstall_string: '',
          install_date: '20260105',
          identifying_number: `{${host.choice.uuid(name).toUpperCase()}}`,
        }),
      ),
  },
}

function userRows(host: SimulatedHost): TableRow[] {
  const isWindows = host.platform === 'windows'
  const system: [number, string, string, string][] = isWindows
    ? [
        [500, 'Administrator', 'C:\\Users\\Administrator', 'C:\\Windows\\system32\\cmd.exe'],
        [18, 'SYSTEM', '%systemroot%\\system32\\config\\systemprofile', 'C:\\Windows\\system32\\cmd.exe'],
      ]
    : [
        [0, 'root', '/root', '/bin/bash'],
        [1, 'daemon', '/usr/sbin', '/usr/sbin/nologin'],
        [2, 'bin', '/bin', '/usr/sbin/nologin'],
      ]
  const home = { linux: '/home/', darwin: '/Users/', windows: 'C:\\Users\\' }[host.platform]
  const shell = { linux: '/bin/bash', darwin: '/bin/zsh', windows: 'C:\\Windows\\system32\\cmd.exe' }[
    host.platform
  ]
  const firstUid = { linux: 1000, darwin: 501, windows: 1001 }[host.platform]
  const people = host.people.map((name, i): [number, string, string, string] => [
    firstUid + i,
    name,
    home + name,
    shell,
  ])
  return [...system, ...people].map(([uid, username, directory, loginShell]) => ({
    uid,
    gid: uid,
    uid_signed: uid,
    gid_signed: uid,
    username,
    description: username,
    directory,
    shell: loginShell,
    uuid: isWindows ? `S-1-5-21-${host.choice.integer('sid', 2 ** 31)}-${uid}` : '',
  }))
}

function groupNames(host: SimulatedHost): [number, string][] {
  if (host.platform === 'windows')
    return [
      [544, 'Administrators'],
      [545, 'Users'],
      [546, 'Guests'],
    ]
  return [
    [0, 'root'],
    [1, 'daemon'],
    [27, 'sudo'],
    ...userRows(host)
      .slice(3)
      .map((row): [number, string] => [Number(row.gid), String(row.username)]),
  ]
}

function mountRow(host: SimulatedHost, path: string): TableRow {
  const blocks = 25_000_000 + host.choice.integer(`blocks-${path}`, 100_000_000)
  const free = Math.floor(blocks / (2 + host.choice.integer(`free-${path}`, 6)))
  const isMac = host.platform === 'darwin'
  return {
    device: isMac ? '/dev/disk3s1s1' : '/dev/sda2',
    device_alias: isMac ? '/dev/disk3s1s1' : '/dev/sda2',
    path,
    type: isMac ? 'apfs' : 'ext4',
    blocks_size: 4096,
    blocks,
    blocks_free: free,
    blocks_available: free,
    inodes: Math.floor(blocks / 4),
    inodes_free: Math.floor(free / 4),
    flags: 'rw,relatime',
  }
}
