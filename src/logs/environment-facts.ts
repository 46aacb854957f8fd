/**
 * What the environment's snapshot says of its lines: configuration version, names, retention. Best effort, by the head
 * and one part in the isolate's memory, so that a batch costs no D1 statement and seldom a call (design 3).
 */

import { readNameTable, type NameTable } from '../config/name-table.ts'
import type { NodeSet } from '../fleet/node-set.ts'
import { Deadline } from '../lib/deadline.ts'
import type { EnvironmentHead } from '../snapshot/head.ts'
import { createSnapshotSource, type SnapshotRequest } from '../snapshot/source.ts'
import { NOTHING_KNOWN, UNKNOWN_NAME, type EnvironmentFacts } from './source-facts.ts'

/** How long a batch waits for an environment's snapshot: object and R2 copy are each asked for a second. */
const SNAPSHOT_WITHIN_MS = 3_000
/** Tables that an isolate has taken apart; a table of 500 queries comes to some 50 KB. */
const MAX_TABLES = 100

/** A batch is not worth a call to the environment: what is set is in lines after this at the latest. */
const KNOWN_FOR_MS = 10_000
const MAX_KNOWN = 1_000

/** Values of one isolate, shared between its batches. */
const known = new Map<string, { facts: EnvironmentFacts; atMs: number }>()
const snapshots = createSnapshotSource()
const tables = new Map<string, NameTable>()

/** The facts of one environment. Never throws: what cannot be had is not known, and lines are kept for the default. */
export async function environmentFactsOf(env: Env, environmentId: string): Promise<EnvironmentFacts> {
  const entry = known.get(environmentId)
  if (entry !== undefined && Date.now() - entry.atMs < KNOWN_FOR_MS) return entry.facts
  const refreshes: Promise<unknown>[] = []
  const deadline = new Deadline(SNAPSHOT_WITHIN_MS)
  const request = { env, deadline, waitUntil: (work: Promise<unknown>) => void refreshes.push(work) }
  try {
    const head = await snapshots.head(environmentId, request)
    // A batch may take as long as a refresh does; nothing goes on behind it.
    await deadline.run(Promise.all(refreshes))
    const { configurationVersion, retention = {} } = head
    const names = await namesOf(head, request)
    const nameOf = (name: string) => meaningOf(names, name)
    const cohorts = await cohortsOf(head, request)
    const facts = { configurationVersion, cohorts, retention, nameOf }
    if (known.size >= MAX_KNOWN) known.clear()
    known.set(environmentId, { facts, atMs: Date.now() })
    return facts
  } catch (error) {
    console.warn(JSON.stringify({ event: 'environment-facts-unknown', error: String(error) }))
    // Old facts are better than none: lines would be kept for the default.
    return entry?.facts ?? NOTHING_KNOWN
  }
}

/** Who gets another version than the others. A set that cannot be had now is left out: the version is a help, no more. */
async function cohortsOf(
  { environmentId, cohorts = [] }: EnvironmentHead,
  request: SnapshotRequest,
): Promise<{ members: NodeSet; configurationVersion: number }[]> {
  const found: { members: NodeSet; configurationVersion: number }[] = []
  for (const { part, configurationVersion } of cohorts) {
    try {
      const members = await request.deadline.run(snapshots.nodeSet(environmentId, part, request))
      found.push({ members, configurationVersion })
    } catch (error) {
      console.warn(JSON.stringify({ event: 'cohort-unknown', error: String(error) }))
    }
  }
  return found
}

/** The table that a head names; empty where it names none, or where it cannot be had now. */
async function namesOf(
  { environmentId, namesPart }: EnvironmentHead,
  request: SnapshotRequest,
): Promise<NameTable> {
  if (namesPart === undefined) return new Map()
  const known = tables.get(namesPart)
  if (known !== undefined) return known
  try {
    const part = snapshots.part(environmentId, namesPart, request)
    const names = readNameTable(await request.deadline.run(part))
    if (tables.size >= MAX_TABLES) tables.clear()
    tables.set(namesPart, names)
    return names
  } catch (error) {
    console.warn(JSON.stringify({ event: 'names-unknown', error: String(error) }))
    return new Map()
  }
}

function meaningOf(names: NameTable, name: string) {
  const meaning = names.get(name)
  return meaning === undefined ? UNKNOWN_NAME : { pack: meaning[0], query: meaning[1] }
}
