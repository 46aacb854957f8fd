/** Worker entry: fetch, queue and scheduled handlers, the guard's entrypoint, and the Durable Object classes. */

import { WorkerEntrypoint } from 'cloudflare:workers'
import { createAgentApp, createApp } from './app.ts'
import { consumeQueue } from './queue.ts'
import { runSchedule } from './schedule.ts'

export { Directory } from './snapshot/directory.ts'
export { Environment } from './snapshot/environment.ts'
export { Presence } from './presence/presence.ts'
export { AnswerShard } from './queries/answer-shard.ts'
export { Archive } from './logs/archive.ts'
export { CarveSession } from './carves/carve-session.ts'
export { Feed } from './queries/feed.ts'
export { Sink } from './logs/deliver/sink.ts'
export { Tail } from './logs/tail/tail.ts'
export { Costs } from './costs/costs.ts'

const app = createApp()
const agentApp = createAgentApp()

/** What the guard is bound to: agent routes only, so that operators' routes are not on the agents' hostname. */
export class Agents extends WorkerEntrypoint<Env> {
  override async fetch(request: Request): Promise<Response> {
    return agentApp.fetch(request, this.env, this.ctx)
  }
}

export default {
  fetch: (request, env, ctx) => app.fetch(request, env, ctx),
  queue: (batch, env) => consumeQueue(batch, env),
  scheduled: ({ scheduledTime }, env, ctx) => runSchedule(env, ctx, scheduledTime),
} satisfies ExportedHandler<Env>
