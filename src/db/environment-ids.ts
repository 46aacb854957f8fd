/** The ids of all environments, for what runs by the clock. */

/** One D1 statement. */
export async function listEnvironmentIds(db: D1Database): Promise<string[]> {
  const { results } = await db.prepare('SELECT id FROM environments').all<{ id: string }>()
  return results.map(({ id }) => id)
}
