/** Where a node's answers live: the one place that names answer shards and feeds. */

/** The answer shard with this index of an environment whose queries are spread over `shards` of them. */
export function answerShardStub(env: Env, environmentId: string, shards: number, shard: number) {
  return env.ANSWER_SHARD.getByName(`${environmentId}/${shards}/${shard}`)
}

/** The object that viewers of a query are connected to. */
export function feedStub(env: Env, environmentId: string, number: number) {
  return env.FEED.getByName(`${environmentId}/${number}`)
}

/** Which share of which environment a shard has. */
export interface ShardPlace {
  environmentId: string
  shards: number
  shard: number
}

/** The place that a shard's name says. Throws where an object has none. */
export function shardPlaceOf(name: string | undefined): ShardPlace {
  const [environmentId, shards, shard] = (name ?? '').split('/')
  if (environmentId === undefined || shard === undefined) throw new Error('the object is addressed by name')
  return { environmentId, shards: Number(shards), shard: Number(shard) }
}
