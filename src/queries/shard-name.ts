/** Where a node's answers live: the one place that names answer shards and feeds. */

/** The answer shard with this index of an environment whose queries are spread over `shards` of them. */
export function answerShardStub(env: Env, environmentId: string, shards: number, shard: number) {
  return env.ANSWER_SHARD.getByName(`${environmentId}/${shards}/${shard}`)
}

/** The object that viewers of a query are connected to. */
export function feedStub(env: Env, environmentId: string, number: number) {
  return env.FEED.getByName(`${environmentId}/${number}`)
}
