/** What kinds of fleet there are: who is in them, how they behave, and which configuration they get. Plain data. */
import type { Platform } from '../host.ts'
import type { JsonObject } from '../json.ts'

export type ProfileName = 'office' | 'servers' | 'storm'

/** A kind of fleet. Chances and shares are 0 … 1. */
export interface Profile {
  readonly platforms: Readonly<Record<Platform, number>>
  readonly versions: Readonly<Record<string, number>>
  /** Nodes with the hardware UUID of another one: cloned machines. Half of them share its instance id, too. */
  readonly cloneShare: number
  /** Nodes whose clock is wrong by up to a day. */
  readonly skewedShare: number
  /** Nodes whose flagfile says to compress logs. */
  readonly gzipShare: number
  /** Chance of a distributed query to kill its process. */
  readonly crashChance: number
  /** Chance of a request to be received, and its reply lost: osqueryd sends it again at once. */
  readonly lostReplyChance: number
  /** Chance of a process to die after a log POST has reached the server, and before it has deleted the lines. */
  readonly uploadCrashChance: number
  /** Chance of a carve's block to be lost, half of the time on its way there. */
  readonly lostBlockChance: number
  /** Nodes that are away from any network for hours of their own time while osqueryd runs, and come back with a full buffer. */
  readonly travelShare: number
  /** How long a node is awake and asleep, in seconds; absent: never asleep. */
  readonly sleeps?: { readonly awake: readonly [number, number]; readonly asleep: readonly [number, number] }
  /** All enroll at once, and then all begin to poll at once; else nodes start one after the other. */
  readonly isStorm: boolean
  /** Intervals in seconds, sent as options. */
  readonly intervals: { readonly distributed: number; readonly log: number; readonly config: number }
}

/** Old releases as they are found in the field: one without JSON types, one before statuses had messages, some newer. */
const VERSIONS = { '2.11.2': 0.02, '4.3.0': 0.03, '4.9.0': 0.05, '5.5.1': 0.1, '5.12.1': 0.2, '5.23.1': 0.6 }

const COMMON = {
  versions: VERSIONS,
  cloneShare: 0.002,
  skewedShare: 0.01,
  gzipShare: 0.5,
  crashChance: 0.002,
  lostReplyChance: 0.002,
  uploadCrashChance: 0.001,
  lostBlockChance: 0.05,
  travelShare: 0.002,
  isStorm: false,
}

export const PROFILES: Readonly<Record<ProfileName, Profile>> = {
  servers: {
    ...COMMON,
    platforms: { linux: 0.95, darwin: 0, windows: 0.05 },
    intervals: { distributed: 60, log: 60, config: 300 },
  },
  office: {
    ...COMMON,
    platforms: { linux: 0.05, darwin: 0.5, windows: 0.45 },
    // Minutes stand for hours, so that a run of some minutes sees lids closed.
    sleeps: { awake: [45, 240], asleep: [15, 90] },
    travelShare: 0.01,
    intervals: { distributed: 120, log: 120, config: 600 },
  },
  storm: {
    ...COMMON,
    platforms: { linux: 0.6, darwin: 0.2, windows: 0.2 },
    isStorm: true,
    travelShare: 0,
    intervals: { distributed: 60, log: 60, config: 300 },
  },
}

/** The option that tells a fleet which configuration an agent holds. osqueryd allows any that begins with `custom_`. */
export const REVISION_OPTION = 'custom_simulated_revision'

/**
 * The configuration that a fleet's own environment gets; `tempo` divides all intervals. Later revisions change
 * intervals, epoch and compression by options, and leave out the pack delimiter, which agents keep all the same.
 */
export function configurationOf({ intervals }: Profile, tempo: number, revision = 0): JsonObject {
  const seconds = (interval: number) => Math.max(1, Math.round(interval / tempo))
  const query = (sql: string, interval: number, isSnapshot: boolean) => ({
    query: sql,
    interval: seconds(interval),
    ...(isSnapshot && { snapshot: true }),
  })
  return {
    options: {
      distributed_interval: seconds(
        revision % 2 === 0 ? intervals.distributed : intervals.distributed * 0.75,
      ),
      logger_tls_period: seconds(revision % 2 === 0 ? intervals.log : intervals.log * 0.75),
      config_tls_refresh: seconds(intervals.config),
      ...(revision === 0
        ? { pack_delimiter: '/' }
        : {
            logger_tls_compress: revision % 2 === 1,
            schedule_epoch: revision,
            [REVISION_OPTION]: revision,
          }),
    },
    schedule: {
      uptime: query('SELECT days, hours, minutes, total_seconds FROM uptime', 60, true),
      osquery_info: query('SELECT uuid, version, config_hash, start_time FROM osquery_info', 300, true),
      users: query('SELECT uid, username, description, directory FROM users', 300, false),
    },
    packs: {
      machines: {
        queries: {
          processes: query('SELECT pid, name, path FROM processes', 120, false),
          largest: query(
            'SELECT pid, name, resident_size FROM processes ORDER BY resident_size DESC LIMIT 5',
            300,
            true,
          ),
        },
      },
    },
    decorators: { load: ['SELECT uuid AS host_uuid FROM system_info', 'SELECT hostname FROM system_info'] },
  }
}
