/** The one way in which a configuration changes: a new version, checked as a whole, audited, published. */

import { readBuiltIn, type BuiltInSettings } from '../config/built-in.ts'
import type { VersionContent } from '../config/content.ts'
import { distinct, heldOf, heldUnder } from '../config/held.ts'
import type { Finding } from '../config/report.ts'
import { servedDocument } from '../config/served.ts'
import { takenOut, type TakenOut } from '../config/taken-out.ts'
import { checkVersion } from '../config/version.ts'
import {
  insertConfiguration,
  stableConfiguration,
  layersOfVersion,
  type ConfigurationLayer,
  type ConfigurationRow,
} from '../db/configurations.ts'
import { isUniqueViolation } from '../db/control.ts'
import { listHeldOptions } from '../db/held-options.ts'
import { SEEDED_BY } from '../db/seed.ts'
import type { Held } from '../fleet/held.ts'
import { sha256HexOfText } from '../lib/bytes.ts'
import { fail, ok, type Result } from '../lib/result.ts'
import { environmentChangeNote } from './change-note.ts'
import type { OperatorContext } from './context.ts'
import { conflict, problem, unprocessable } from './problem.ts'
import { publishEnvironment } from './publish.ts'

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
): Promise<Response> {
  const stored = await commitVersion(c, message, change)
  if (!stored.ok) return stored.reason
  const { version, revision, live, sha256, bytes, warnings } = stored.value
  return c.json({ version, revision, live, sha256, bytes, warnings })
}

/** The same for those who make their own reply. With an expected version nothing is stored over another one: 409. */
export async function commitVersion(
  c: OperatorContext,
  message: string,
  change: ChangeOfVersion,
  expectedVersion?: number,
): Promise<Result<StoredVersion, Response>> {
  for (let attempt = 1; attempt <= MAX_ATTEMPTS; attempt += 1) {
    const prepared = await prepareVersion(c, change, expectedVersion)
    if (!prepared.ok) return prepared
    const stored = await store(c, message, prepared.value)
    if (stored === null) continue
    const live = await publishEnvironment(c.env, c.var.environment.id, stored.revision)
    return ok({ ...prepared.value, ...stored, live })
  }
  return fail(conflict('/version', 'others change this configuration at the same time'))
}

/** Checks what `change` makes of the present version; stores nothing. */
export async function prepareVersion(
  c: OperatorContext,
  change: ChangeOfVersion,
  expectedVersion?: number,
): Promise<Result<PreparedVersion, Response>> {
  const environmentId = c.var.environment.id
  const row = await stableConfiguration(c.var.db, environmentId)
  if (expectedVersion !== undefined && row.version !== expectedVersion)
    return fail(conflict('/expectedVersion', `the newest version is ${row.version}`))
  const present = { ...row, layers: await layersOfVersion(c.var.db, environmentId, row.version) }
  const wanted = change({ document: present.document, layers: present.layers })
  const before = isSeeded(row) ? [] : heldOf(present)
  const held = distinct([...(await listHeldOptions(c.var.db, environmentId)), ...before])
  const matches = wanted.layers.map(({ match }) => match)
  const builtIn = readBuiltIn(c.var.environment.builtIn)
  const checked = checkVersion(
    wanted.document,
    wanted.layers,
    // What is paused is checked, too: it comes back one day.
    (merged, mask) => servedDocument(merged, { held: heldUnder(held, matches, mask), builtIn }).text,
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
  const gone = takenOut(present, { document, layers }, held)
  const warnings = [...checked.value.warnings, ...lastingWarnings(gone)]
  return ok({ present, held, gone, wanted: { document, layers }, sha256, bytes, warnings })
}

/** What would be wrong with the documents of the present version if the server scheduled this. */
export async function faultsOfPresent(c: OperatorContext, builtIn: BuiltInSettings): Promise<Finding[]> {
  const environmentId = c.var.environment.id
  const { version, document } = await stableConfiguration(c.var.db, environmentId)
  const layers = await layersOfVersion(c.var.db, environmentId, version)
  const held = await listHeldOptions(c.var.db, environmentId)
  const matches = layers.map(({ match }) => match)
  const checked = checkVersion(
    document,
    layers,
    (merged, mask) => servedDocument(merged, { held: heldUnder(held, matches, mask), builtIn }).text,
  )
  return checked.ok || checked.reason.kind === 'not-json' ? [] : checked.reason.errors
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

/** Null where another version is the newest by now. */
async function store(
  c: OperatorContext,
  message: string,
  { present, held, wanted, sha256, bytes }: PreparedVersion,
): Promise<{ version: number; revision: number } | null> {
  const environmentId = c.var.environment.id
  if (present.sha256 === sha256) return { version: present.version, revision: c.var.environment.revision }
  const version = present.version + 1
  const note = environmentChangeNote(c, 'configuration.put', environmentId, { sha256, bytes, message })
  try {
    const revision = await insertConfiguration(c.var.db, note, {
      environmentId,
      version,
      sha256,
      message,
      ...wanted,
      held: distinct([...held, ...heldOf(wanted)]),
    })
    return { version, revision }
  } catch (error) {
    if (isUniqueViolation(error, 'configurations.version')) return null
    throw error
  }
}

/** Without layers it is that of the document, as versions of before there were layers have it. */
function hashOfVersion(document: string, layers: readonly ConfigurationLayer[]): Promise<string> {
  if (layers.length === 0) return sha256HexOfText(document)
  const facts = layers.map(({ name, match, sha256 }) => [name, match, sha256])
  return sha256HexOfText(`${document}\n${JSON.stringify(facts)}`)
}
