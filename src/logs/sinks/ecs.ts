/**
 * A line as a document of the Elastic Common Schema (field names as Elastic's osquery integration has them). Pure.
 * Columns are texts, because one agent writes 1.5 and the next "1.5", and an index takes one kind alone.
 */

import type { ArchivedLine, LineHeader } from '../line.ts'
import { isObject, type JsonObject } from '../../lib/json-value.ts'
import { objectOfJson, textOfScalar } from './json-object.ts'
import { eventTimeMs } from './event-time.ts'

/** ECS version whose fields are used. */
const ECS_VERSION = '8.17.0'
/** Of a status line: glog's levels, as osquery numbers them. */
const STATUS_LEVELS = ['info', 'warning', 'error', 'critical']

/** The document. Empty values are left out: ECS has no use for them. */
export function ecsDocumentOf({ header, line }: ArchivedLine): JsonObject {
  const agentLine = objectOfJson(line) ?? {}
  const decorations = isObject(agentLine['decorations']) ? agentLine['decorations'] : {}
  const columns = columnsOf(agentLine)
  const hostname = header.hostname ?? textOfScalar(agentLine['hostIdentifier'])
  const userName = textOfScalar(decorations['username'])
  return withoutEmpty({
    '@timestamp': new Date(eventTimeMs(header, agentLine)).toISOString(),
    ecs: { version: ECS_VERSION },
    event: eventOf(header, agentLine),
    rule: { name: header.query ?? header.name, ruleset: header.pack },
    host: {
      hostname,
      id: textOfScalar(decorations['host_uuid']) ?? header.nodeId,
      os: { platform: header.platform },
    },
    user: { name: userName },
    agent: { type: 'osquery', id: header.nodeId },
    observer: { vendor: 'osquery-edge', product: 'osquery-edge', type: 'fleet-manager' },
    related: { hosts: hostname === null ? [] : [hostname], user: userName === null ? [] : [userName] },
    organization: { id: header.environment },
    tags: header.tags,
    ...wellKnown(columns),
    ...(header.type === 'status' ? statusOf(agentLine) : {}),
    osquery: { [header.type]: ownOf(header, agentLine, columns, decorations) },
  })
}

function eventOf(header: LineHeader, agentLine: JsonObject): JsonObject {
  return {
    kind: 'event',
    type: ['info'],
    module: 'osquery',
    provider: 'osquery',
    dataset: `osquery.${header.type}`,
    id: header.eventId,
    action: textOfScalar(agentLine['action']) ?? (header.type === 'audit' ? header.name : null),
    created: header.receivedAt,
  }
}

/** What osquery itself says: its names, under `osquery.<type>`. An audit line and an answer's line are ours. */
function ownOf(
  header: LineHeader,
  agentLine: JsonObject,
  columns: JsonObject,
  decorations: JsonObject,
): JsonObject {
  if (header.type === 'audit') return agentLine
  if (header.type === 'query') return { ...agentLine, columns }
  const { name, action, epoch, counter, unixTime, calendarTime, hostIdentifier, snapshot, diffResults } =
    agentLine
  const differences = isObject(diffResults) ? diffResults : {}
  return {
    name: textOfScalar(name) ?? header.name,
    action,
    epoch: textOfScalar(epoch),
    counter: textOfScalar(counter),
    unix_time: textOfScalar(unixTime),
    calendar_time: calendarTime,
    host_identifier: hostIdentifier,
    configuration_version: header.configurationVersion,
    columns,
    decorations: textsOf(decorations),
    snapshot: rowsOf(snapshot),
    added: rowsOf(differences['added']),
    removed: rowsOf(differences['removed']),
  }
}

/** The rows of a snapshot or of a batch (spec 4.2). */
function rowsOf(rows: unknown): JsonObject[] {
  return Array.isArray(rows) ? rows.filter(isObject).map(textsOf) : []
}

function columnsOf({ columns }: JsonObject): JsonObject {
  return isObject(columns) ? textsOf(columns) : {}
}

function statusOf({ severity, message, filename, line }: JsonObject): JsonObject {
  const file = { name: textOfScalar(filename), line: Number(line) || null }
  return {
    message,
    log: { level: STATUS_LEVELS[Number(severity)] ?? null, origin: { file } },
  }
}

/** Columns that mean the same in every table that has them. */
function wellKnown(columns: JsonObject): JsonObject {
  const { path, size, mtime, ctime, btime, atime, name, pid, url } = columns
  const file = {
    path,
    size: integerOf(size),
    mtime: timeOf(mtime),
    ctime: timeOf(ctime),
    created: timeOf(btime),
    accessed: timeOf(atime),
  }
  return {
    file: path === undefined ? {} : file,
    process: { name, pid: integerOf(pid) },
    url: { full: url },
  }
}

function textsOf(values: JsonObject): JsonObject {
  return Object.fromEntries(
    Object.entries(values).map(([name, value]) => [
      name,
      isObject(value) ? textsOf(value) : textOfScalar(value),
    ]),
  )
}

function integerOf(value: unknown): number | null {
  const number = Number(value ?? Number.NaN)
  return Number.isSafeInteger(number) && number >= 0 ? number : null
}

/** osquery's times are seconds; 0 and what is no number says nothing. */
function timeOf(value: unknown): string | null {
  const seconds = integerOf(value)
  const timeMs = (seconds ?? 0) * 1_000
  return timeMs === 0 || timeMs > 8.64e15 ? null : new Date(timeMs).toISOString()
}

/** Without members that are null, empty texts, empty lists and objects that come out empty. */
function withoutEmpty(value: JsonObject): JsonObject {
  const members = Object.entries(value).map(([name, member]) => [name, cleaned(member)] as const)
  return Object.fromEntries(members.filter(([, member]) => !isEmpty(member)))
}

function cleaned(value: unknown): unknown {
  if (Array.isArray(value))
    return value.map((item) => (isObject(item) ? withoutEmpty(item) : (item as unknown)))
  return isObject(value) ? withoutEmpty(value) : value
}

function isEmpty(value: unknown): boolean {
  if (value === null || value === undefined || value === '') return true
  if (Array.isArray(value)) return value.length === 0
  return isObject(value) && Object.keys(value).length === 0
}
