/** The one way in which a configuration changes: a new version, checked as a whole, audited, published. */

import { readBuiltIn, type BuiltInSettings } from '../config/built-in.ts'
import type { VersionContent } from '../config/content.ts'
import { distinct, heldOf, heldUnder } from '../config/held.ts'
import {
  MANAGED_POINTERS,
  overruledIntervals,
  readIntervals,
  textOfIntervals,
  type ManagedIntervals,
} from '../config/intervals.ts'
import type { Finding } from '../config/report.ts'
import { reportingOften } from '../config/rollout-place.ts'
import { servedDocument } from '../config/served.ts'
import { takenOut, type TakenOut } from '../config/taken-out.ts'
import { checkVersion } from '../config/version.ts'
import {
  insertConfiguration,
  stableConfiguration,
  layersOfVersion,
  findConfiguration,
  newestVersion,
  type ConfigurationLayer,
  type ConfigurationRow,
} from '../db/configurations.ts'
import { isNullRefused, isUniqueViolation } from '../db/control.ts'
import { intervalStatements, updateIntervals } from '../db/intervals.ts'
import { listHeldOptions } from '../db/held-options.ts'
import { heldOfTakenBack, type RolloutRow } from '../db/rollouts.ts'
import { SEEDED_BY } from '../db/seed.ts'
import type { Held } from '../fleet/held.ts'
import { LONGEST_INTERVALS } from '../fleet/intervals.ts'
import { LONGEST_COST_INTERVAL_S, type WantedRollout } from '../fleet/rollout-plan.ts'
import { sha256HexOfText } from '../lib/bytes.ts'
import { fail, ok, type Result } from '../lib/result.ts'
import { environmentChangeNote } from './change-note.ts'
import type { OperatorContext } from './context.ts'
import { checkBudget } from './cost-knowledge.ts'
import { intervalsNote } from './intervals.ts'
import { layerWarnings } from './layer-warnings.ts'
import { pausedWarnings } from './paused-warnings.ts'
import { conflict, problem, unprocessable } from './problem.ts'
import { publishEnvironment } from './publish.ts'
import { rolloutInTheWay } from './rollout-in-the-way.ts'
import { faultsOfRollout } from './rollout-start.ts'
import { alreadyUnderWay, storeForSome } from './store-for-some.ts'

/** Of several who write at once one gets through each time; so many at once are no accident, and hear of it. */
const MAX_ATTEMPTS = 20

/** A version that could be stored, beside the present one. */
export interface PreparedVersion {
  present: ConfigurationRow & VersionContent
  /** What nodes may hold of the present version and those before. */
  held: Held[]
  gone: TakenOut
  wanted: { document: string; layers: ConfigurationLayer[] }
  sha256: string
  bytes: number
  warnings: Finding[]
}

export interface StoredVersion extends PreparedVersion {
  version: number
  revision: number
  live: boolean
  /** On its way to the nodes; null: all nodes get it. */
  rollout: RolloutRow | null
}

export interface CommitOptions {
  /** Nothing is stored over another one: 409. */
  expectedVersion?: number | undefined
  /** Takes back the rollout that is under way; without it that is a 409. */
  supersede?: boolean | undefined
  /** The version goes to some nodes first. */
  rollout?: WantedRollout | undefined
  /** A budget that blocks only warns: the way back must be open. */
  mayExceedBudget?: boolean | undefined
  /** Managed from then on, in the same change; absent: as they are. */
  intervals?: ManagedIntervals | undefined
}

export type ChangeOfVersion = (present: VersionContent) => VersionContent

/**
 * Makes a version of what `change` makes of the present one. The same content again is the same version: nothing new to
 * fetch for agents, nothing to audit.
 */
export async function storeVersion(
  c: OperatorContext,
  message: string,
  change: ChangeOfVersion,
  options: CommitOptions = {},
): Promise<Response> {
  const stored = await commitVersion(c, message, change, options)
  if (!stored.ok) return stored.reason
  const { version, revision, live, sha256, bytes, warnings } = stored.value
  return c.json({ version, revision, live, sha256, bytes, warnings })
}

/** The same for those who make their own reply. */
export async function commitVersion(
  c: OperatorContext,
  message: string,
  change: ChangeOfVersion,
  { expectedVersion, supersede, rollout, mayExceedBudget, intervals }: CommitOptions = {},
): Promise<Result<StoredVersion, Response>> {
  for (let attempt = 1; attempt <= MAX_ATTEMPTS; attempt += 1) {
    const prepared = await prepareVersion(c, change, expectedVersion, mayExceedBudget)
    if (!prepared.ok) return prepared
    const { sha256 } = prepared.value
    const faults = supersede === true && rollout !== undefined ? await faultsOfRollout(c, rollout) : null
    if (faults !== null) return fail(faults)
    const underWay = await rolloutInTheWay(c, sha256, supersede === true)
    if (!underWay.ok) return underWay
    if (underWay.value !== null) return ok(alreadyUnderWay(c, prepared.value, underWay.value))
    const stored =
      rollout === undefined
        ? await store(c, message, prepared.value, intervals)
        : await storeForSome(c, message, prepared.value, rollout)
    if (stored === null) continue
    if (!stored.ok) return stored
    const live = await publishEnvironment(c.env, c.var.environment.id, stored.value.revision)
    return ok({ ...prepared.value, ...stored.value, live })
  }
  return fail(conflict('/version', 'others change this configuration at the same time'))
}

/** Checks what `change` makes of the present version; stores nothing. */
export async function prepareVersion(
  c: OperatorContext,
  change: ChangeOfVersion,
  expectedVersion?: number,
  mayExceedBudget = false,
): Promise<Result<PreparedVersion, Response>> {
  const environmentId = c.var.environment.id
  const row = await stableConfiguration(c.var.db, environmentId)
  if (expectedVersion !== undefined && row.version !== expectedVersion)
    return fail(conflict('/expectedVersion', `the present version is ${row.version}`))
  const present = { ...row, layers: await layersOfVersion(c.var.db, environmentId, row.version) }
  const wanted = change({ document: present.document, layers: present.layers })
  const before = isSeeded(row) ? [] : heldOf(present)
  const held = distinct([...(await listHeldOptions(c.var.db, environmentId)), ...before])
  const matches = wanted.layers.map(({ match }) => match)
  // Members of a rollout tell their costs even where others do not, and some nodes may hold more than all do.
  const builtIn = reportingOften(readBuiltIn(c.var.environment.builtIn), LONGEST_COST_INTERVAL_S)
  const heldBySome = distinct([...held, ...(await heldOfTakenBack(c.var.db, environmentId))])
  const checked = checkVersion(
    wanted.document,
    wanted.layers,
    // What is paused is checked, too: it comes back one day. And there is room for intervals: a brownout adds them.
    (merged, mask) =>
      servedDocument(merged, {
        held: heldUnder(heldBySome, matches, mask),
        builtIn,
        intervals: LONGEST_INTERVALS,
      }).text,
  )
  if (!checked.ok) {
    return fail(
      checked.reason.kind === 'not-json'
        ? problem(400, 'The body is not JSON.')
        : unprocessable(...checked.reason.errors),
    )
  }
  const { document, bytes } = checked.value
  const layers = await Promise.all(
    checked.value.layers.map(async (layer) => ({ ...layer, sha256: await sha256HexOfText(layer.document) })),
  )
  const sha256 = await hashOfVersion(document, layers)
  const { base } = readIntervals(c.var.environment.intervals)
  // What is managed is said by the server from then on.
  const mayBeHeld = base === null ? held : held.filter(({ pointer }) => !MANAGED_POINTERS.includes(pointer))
  const gone = takenOut(present, { document, layers }, mayBeHeld)
  const overruled = base === null ? [] : overruledIntervals({ document, layers })
  const budget = await checkBudget(c, present, { document, layers }, mayExceedBudget)
  if (budget.refused.length > 0) return fail(unprocessable(...budget.refused))
  const paused = await pausedWarnings(c, { document, layers })
  const more = [...overruled, ...budget.warnings, ...paused, ...(await layerWarnings(c, layers))]
  const warnings = [...checked.value.warnings, ...lastingWarnings(gone), ...more]
  return ok({ present, held, gone, wanted: { document, layers }, sha256, bytes, warnings })
}

/** What would be wrong with documents that nodes get, or get next, if the server scheduled this. */
export async function faultsOfPresent(c: OperatorContext, builtIn: BuiltInSettings): Promise<Finding[]> {
  const environmentId = c.var.environment.id
  const held = await listHeldOptions(c.var.db, environmentId)
  const stable = await stableConfiguration(c.var.db, environmentId)
  const newest = await findConfiguration(
    c.var.db,
    environmentId,
    await newestVersion(c.var.db, environmentId),
  )
  for (const { version, document } of [stable, newest ?? stable]) {
    const layers = await layersOfVersion(c.var.db, environmentId, version)
    const matches = layers.map(({ match }) => match)
    const intervals = LONGEST_INTERVALS
    const checked = checkVersion(
      document,
      layers,
      (merged, mask) =>
        servedDocument(merged, { held: heldUnder(held, matches, mask), builtIn, intervals }).text,
    )
    if (!checked.ok && checked.reason.kind === 'invalid') return checked.reason.errors
  }
  return []
}

/** The starter's options say what the flagfile beside it says: an agent without them is as its flagfile has it. */
function isSeeded({ version, createdBy }: ConfigurationRow): boolean {
  return version === 1 && createdBy === SEEDED_BY
}

function lastingWarnings({ lasting }: TakenOut): Finding[] {
  return lasting.map(({ pointer, reason }) => ({
    pointer,
    detail: `was taken out, but lasts until restart: ${reason}`,
  }))
}

export type Stored = Pick<StoredVersion, 'version' | 'revision' | 'rollout'>

/** Null where another version is the newest by now. */
async function store(
  c: OperatorContext,
  message: string,
  { present, held, wanted, sha256, bytes }: PreparedVersion,
  intervals: ManagedIntervals | undefined,
): Promise<Result<Stored, Response> | null> {
  const { id: environmentId, revision: presentRevision } = c.var.environment
  const changed = intervals !== undefined && changesIntervals(c, intervals, wanted.layers) ? intervals : null
  if (present.sha256 === sha256) {
    const revision =
      changed === null
        ? presentRevision
        : await updateIntervals(c.var.db, intervalsNote(c, changed), environmentId, changed)
    return ok({ version: present.version, revision, rollout: null })
  }
  const version = (await newestVersion(c.var.db, environmentId)) + 1
  const note = environmentChangeNote(c, 'configuration.put', environmentId, {
    sha256,
    bytes,
    message,
    ...(changed === null ? {} : { intervals: changed }),
  })
  try {
    const revision = await insertConfiguration(c.var.db, note, {
      environmentId,
      version,
      sha256,
      message,
      ...wanted,
      held: distinct([...held, ...heldOf(wanted)]),
      also: changed === null ? [] : intervalStatements(c.var.db, environmentId, changed),
    })
    return ok({ version, revision, rollout: null })
  } catch (error) {
    // Somebody stored another one, or began a rollout: looked at anew.
    if (isUniqueViolation(error, 'configurations.version')) return null
    if (isNullRefused(error, 'configurations.created_by')) return null
    throw error
  }
}

/** Whether other intervals are managed now. What is remembered of layers that these do not have does not count. */
export function changesIntervals(
  c: OperatorContext,
  intervals: ManagedIntervals,
  layers: readonly { name: string }[],
): boolean {
  const { base, layers: known } = readIntervals(c.var.environment.intervals)
  const ofThese = Object.entries(known).filter(([name]) => layers.some((layer) => layer.name === name))
  return textOfIntervals(intervals) !== textOfIntervals({ base, layers: Object.fromEntries(ofThese) })
}

/** Without layers it is that of the document, as versions of before there were layers have it. */
function hashOfVersion(document: string, layers: readonly ConfigurationLayer[]): Promise<string> {
  if (layers.length === 0) return sha256HexOfText(document)
  const facts = layers.map(({ name, match, sha256 }) => [name, match, sha256])
  return sha256HexOfText(`${document}\n${JSON.stringify(facts)}`)
}
