/** Layers of a version that are for nobody: those of a node set that was deleted since. New ones are refused elsewhere. */

import type { VersionContent } from '../config/content.ts'
import type { Finding } from '../config/report.ts'
import { findNodeSetByName } from '../db/node-sets.ts'
import { pointerOf } from '../lib/json-pointer.ts'
import type { OperatorContext } from './context.ts'

/** The way back to an old version must be open, so this is only told. */
export async function layerWarnings(
  c: OperatorContext,
  layers: VersionContent['layers'],
): Promise<Finding[]> {
  const findings: Finding[] = []
  for (const { name, match } of layers)
    if (
      'nodeSet' in match &&
      (await findNodeSetByName(c.var.db, c.var.environment.id, match.nodeSet)) === null
    )
      findings.push({
        pointer: pointerOf(['layers', name, 'match', 'nodeSet']),
        detail: `there is no node set ${match.nodeSet} any more: no node gets this layer`,
      })
  return findings
}
