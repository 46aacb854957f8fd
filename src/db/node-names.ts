/** Ids and host names of nodes that are known by ordinal. */

export interface NamedNode {
  id: string
  hostname: string | null
}

/** By ordinal; those that were deleted are not among them. One D1 statement. */
export async function nodesOfOrdinals(
  db: D1Database,
  environmentId: string,
  ordinals: readonly number[],
): Promise<Map<number, NamedNode>> {
  if (ordinals.length === 0) return new Map()
  const { results } = await db
    .prepare(
      `SELECT ordinal, id, hostname FROM nodes
       WHERE environment_id = ?1 AND deleted_at IS NULL AND ordinal IN (SELECT value FROM json_each(?2))`,
    )
    .bind(environmentId, JSON.stringify([...new Set(ordinals)]))
    .all<NamedNode & { ordinal: number }>()
  return new Map(results.map(({ ordinal, id, hostname }) => [ordinal, { id, hostname }]))
}
