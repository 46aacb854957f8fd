/** What lines say of the node that sent them, as the inventory has it. */

export interface NodeFacts {
  hostname: string
  /** The family, as node keys name it. */
  platform: string
  /** Sorted. */
  tags: readonly string[]
}

const FACTS = `SELECT id, hostname, platform_family AS platform,
    (SELECT json_group_array(tag) FROM node_tags
      WHERE node_tags.environment_id = nodes.environment_id AND node_id = nodes.id) AS tags
  FROM nodes WHERE id IN (SELECT value FROM json_each(?1))`

/** The facts of these nodes, in one statement; nodes that are not known are left out. */
export async function findNodeFacts(
  db: D1Database,
  nodeIds: readonly string[],
): Promise<ReadonlyMap<string, NodeFacts>> {
  const { results } = await db
    .prepare(FACTS)
    .bind(JSON.stringify(nodeIds))
    .all<{ id: string; hostname: string; platform: string; tags: string }>()
  return new Map(
    results.map(({ id, hostname, platform, tags }) => [
      id,
      { hostname, platform, tags: (JSON.parse(tags) as string[]).sort() },
    ]),
  )
}
