/** Nodes' host names, for showing them. */

/** The host names of these nodes, in one statement; nodes that are not known are left out. */
export async function findHostnames(
  db: D1Database,
  nodeIds: readonly string[],
): Promise<ReadonlyMap<string, string>> {
  const { results } = await db
    .prepare('SELECT id, hostname FROM nodes WHERE id IN (SELECT value FROM json_each(?1))')
    .bind(JSON.stringify(nodeIds))
    .all<{ id: string; hostname: string }>()
  return new Map(results.map(({ id, hostname }) => [id, hostname]))
}
