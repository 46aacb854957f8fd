import type { Dialect } from './dialect.ts'
import type { Platform } from './host.ts'
import type { TableContext, TableSet } from './sql-types.ts'
import { FILE_TABLES } from './tables-files.ts'
import { INVENTORY_TABLES, LINUX_TABLES, POSIX_TABLES, WINDOWS_TABLES } from './tables-inventory.ts'
import { SYSTEM_TABLES } from './tables-system.ts'

const EVERYWHERE: TableSet = { ...SYSTEM_TABLES, ...INVENTORY_TABLES, ...FILE_TABLES }

/** The tables of a platform. Those of another platform are missing, so that querying them is an SQL error, as there. */
export const PLATFORM_TABLES: Readonly<Record<Platform, TableSet>> = {
  linux: { ...EVERYWHERE, ...POSIX_TABLES, ...LINUX_TABLES },
  darwin: { ...EVERYWHERE, ...POSIX_TABLES },
  windows: { ...EVERYWHERE, ...WINDOWS_TABLES },
}

/** Releases before 4.7.0 show no request id in `carves`. */
const CARVES_BEFORE_REQUEST_IDS: TableSet = {
  carves: {
    ...FILE_TABLES.carves,
    columns: 'time BIGINT, sha256 TEXT, size INTEGER, path TEXT, status TEXT, carve_guid TEXT, carve INTEGER',
  },
}
const OLD_TABLES: Readonly<Record<Platform, TableSet>> = {
  linux: { ...PLATFORM_TABLES.linux, ...CARVES_BEFORE_REQUEST_IDS },
  darwin: { ...PLATFORM_TABLES.darwin, ...CARVES_BEFORE_REQUEST_IDS },
  windows: { ...PLATFORM_TABLES.windows, ...CARVES_BEFORE_REQUEST_IDS },
}

/** The tables of a platform as a release has them: equal arguments give the very same set. */
export function tablesOf(
  platform: Platform,
  { hasCarveRequestIds }: Pick<Dialect, 'hasCarveRequestIds'>,
): TableSet {
  return (hasCarveRequestIds ? PLATFORM_TABLES : OLD_TABLES)[platform]
}

/** Enroll's `host_details` (specification 2.1): the first row of four tables, every value a string. */
export function hostDetails(context: TableContext): Record<string, Record<string, string>> {
  const details: Record<string, Record<string, string>> = {}
  for (const name of ['os_version', 'osquery_info', 'system_info', 'platform_info']) {
    const [row] = PLATFORM_TABLES[context.host.platform][name]?.rows(context) ?? []
    if (row)
      details[name] = Object.fromEntries(
        Object.entries(row).map(([key, value]) => [key, String(value ?? '')]),
      )
  }
  return details
}
