/** Scheduled queries of a version that are paused: whoever edits one may wonder why it does not run. */

import type { VersionContent } from '../config/content.ts'
import { mergeLayers } from '../config/merge.ts'
import { withoutPaused } from '../config/paused.ts'
import type { Finding } from '../config/report.ts'
import { pausedNames } from '../db/paused-queries.ts'
import type { OperatorContext } from './context.ts'

/** At the place in the base, or in the whole with all layers. */
export async function pausedWarnings(
  c: OperatorContext,
  { document, layers }: VersionContent,
): Promise<Finding[]> {
  const names = await pausedNames(c.var.db, c.var.environment.id)
  if (names.size === 0) return []
  const { paused } = withoutPaused(mergeLayers(document, layers).text, names)
  return paused.map(({ name, pointer }) => ({
    pointer,
    detail: `${name} is paused: agents do not get it until it is resumed`,
  }))
}
