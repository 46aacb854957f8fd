/**
 * Brings tags that enrolls gave into the snapshots: layers by tag hold them within a minute. The tags
 * themselves are there with the node, by a trigger within enroll's statement.
 */

import { environmentsTagged, raiseForTags } from '../db/enroll-tagged.ts'

/** One minute's work; the rest waits for the next. */
const ENVIRONMENTS_AT_ONCE = 100

/** One tick. What fails after the revision was raised is made up by the environment's own alarm. */
export async function publishEnrollTags(env: Env): Promise<void> {
  for (const environmentId of await environmentsTagged(env.DB, ENVIRONMENTS_AT_ONCE)) {
    const revision = await raiseForTags(env.DB, environmentId)
    if (revision !== null) await env.ENVIRONMENT.getByName(environmentId).refresh(revision, false)
  }
}
