/** The one way in which a configuration changes: a new version, checked as a whole, audited, published. */

import { checkVersion, type NewLayer } from '../config/version.ts'
import {
  insertConfiguration,
  latestConfiguration,
  layersOfVersion,
  type ConfigurationLayer,
} from '../db/configurations.ts'
import { sha256HexOfText } from '../lib/bytes.ts'
import { environmentChangeNote } from './change-note.ts'
import type { OperatorContext } from './context.ts'
import { problem, unprocessable } from './problem.ts'
import { publishEnvironment } from './publish.ts'

/** What a version is made of. */
export interface VersionContent {
  document: string
  layers: readonly NewLayer[]
}

/**
 * Makes a version of what `change` makes of the present one. The same content again is the same version: nothing new to
 * fetch for agents, nothing to audit.
 */
export async function storeVersion(
  c: OperatorContext,
  message: string,
  change: (present: VersionContent) => VersionContent,
): Promise<Response> {
  const environmentId = c.var.environment.id
  const present = await latestConfiguration(c.var.db, environmentId)
  const layers = await layersOfVersion(c.var.db, environmentId, present.version)
  const wanted = change({ document: present.document, layers })
  const checked = checkVersion(wanted.document, wanted.layers)
  if (!checked.ok) {
    return checked.reason.kind === 'not-json'
      ? problem(400, 'The body is not JSON.')
      : unprocessable(...checked.reason.errors)
  }
  const { document, bytes, warnings } = checked.value
  const hashed = await Promise.all(
    checked.value.layers.map(async (layer) => ({ ...layer, sha256: await sha256HexOfText(layer.document) })),
  )
  const sha256 = await hashOfVersion(document, hashed)
  const stored =
    present.sha256 === sha256
      ? { version: present.version, revision: c.var.environment.revision }
      : await insertConfiguration(
          c.var.db,
          environmentChangeNote(c, 'configuration.put', environmentId, { sha256, bytes, message }),
          { environmentId, document, sha256, message, layers: hashed },
        )
  const live = await publishEnvironment(c.env, environmentId, stored.revision)
  return c.json({ ...stored, live, sha256, bytes, warnings })
}

/** Without layers it is that of the document, as versions of before there were layers have it. */
function hashOfVersion(document: string, layers: readonly ConfigurationLayer[]): Promise<string> {
  if (layers.length === 0) return sha256HexOfText(document)
  const facts = layers.map(({ name, match, sha256 }) => [name, match, sha256])
  return sha256HexOfText(`${document}\n${JSON.stringify(facts)}`)
}
