/** Environments in which enrolls gave tags: what a snapshot says by tag is to be compiled again. */

const TAGGED = 'SELECT environment_id AS environmentId FROM enroll_tagged LIMIT ?1'
const RAISE = 'UPDATE environments SET revision = revision + 1 WHERE id = ?1 RETURNING revision'
const DONE = 'DELETE FROM enroll_tagged WHERE environment_id = ?1'

/** One statement. */
export async function environmentsTagged(db: D1Database, limit: number): Promise<string[]> {
  const { results } = await db.prepare(TAGGED).bind(limit).all<{ environmentId: string }>()
  return results.map(({ environmentId }) => environmentId)
}

/**
 * Raises the environment's revision and forgets the mark, at once: tags of later enrolls set it again. Returns the
 * revision, or null where there is no such environment any more.
 */
export async function raiseForTags(db: D1Database, environmentId: string): Promise<number | null> {
  const [raised] = await db.batch<{ revision: number }>([
    db.prepare(RAISE).bind(environmentId),
    db.prepare(DONE).bind(environmentId),
  ])
  return raised?.results[0]?.revision ?? null
}
