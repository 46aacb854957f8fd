/**
 * The product's Worker with every binding counted as Cloudflare bills it. Only the benchmark builds this entry.
 * `x-bench-isolate: N` picks one of many isolates' memories in front of the same objects, `x-bench-port` the ack port;
 * `GET /bench/tally` tells what was counted since it was last asked.
 */

import { createAgentApp, createApp, type App } from '../../../src/app.ts'
import { CarveSession as RealCarveSession } from '../../../src/carves/carve-session.ts'
import { Archive as RealArchive } from '../../../src/logs/archive.ts'
import { Sink as RealSink } from '../../../src/logs/deliver/sink.ts'
import { Costs as RealCosts } from '../../../src/costs/costs.ts'
import { Tail as RealTail } from '../../../src/logs/tail/tail.ts'
import { consumeQueue } from '../../../src/queue.ts'
import { decodeMessage } from '../../../src/logs/message.ts'
import { Presence as RealPresence } from '../../../src/presence/presence.ts'
import { AnswerShard as RealAnswerShard } from '../../../src/queries/answer-shard.ts'
import { Feed as RealFeed } from '../../../src/queries/feed.ts'
import { runSchedule } from '../../../src/schedule.ts'
import { Directory as RealDirectory } from '../../../src/snapshot/directory.ts'
import { Environment as RealEnvironment } from '../../../src/snapshot/environment.ts'
import { meteredEnv, meteredMessages } from './bindings.ts'
import { meterMethods, watchStorage } from './objects.ts'
import { count, inScope, takeTally } from './tally.ts'

// The Worker without counters and without R2 and queue behind it, for its CPU time.
export { alone, aloneQueue } from '../floor/entry.ts'

export class Directory extends RealDirectory {
  constructor(ctx: DurableObjectState, env: Env) {
    super(watchStorage(ctx), meteredEnv(env))
  }
}
export class Environment extends RealEnvironment {
  constructor(ctx: DurableObjectState, env: Env) {
    super(watchStorage(ctx), meteredEnv(env))
  }
}
export class Presence extends RealPresence {
  constructor(ctx: DurableObjectState, env: Env) {
    super(watchStorage(ctx), meteredEnv(env))
  }
}
export class AnswerShard extends RealAnswerShard {
  constructor(ctx: DurableObjectState, env: Env) {
    super(watchStorage(ctx), meteredEnv(env))
  }
}
export class Archive extends RealArchive {
  constructor(ctx: DurableObjectState, env: Env) {
    super(watchStorage(ctx), meteredEnv(env))
  }
}
export class CarveSession extends RealCarveSession {
  constructor(ctx: DurableObjectState, env: Env) {
    super(watchStorage(ctx), meteredEnv(env))
  }
}
export class Feed extends RealFeed {
  constructor(ctx: DurableObjectState, env: Env) {
    super(watchStorage(ctx), meteredEnv(env))
  }
}
export class Sink extends RealSink {
  constructor(ctx: DurableObjectState, env: Env) {
    super(watchStorage(ctx), meteredEnv(env))
  }
}
export class Tail extends RealTail {
  constructor(ctx: DurableObjectState, env: Env) {
    super(watchStorage(ctx), meteredEnv(env))
  }
}
export class Costs extends RealCosts {
  constructor(ctx: DurableObjectState, env: Env) {
    super(watchStorage(ctx), meteredEnv(env))
  }
}
// By name, because the bundler calls one of two classes of a name another.
for (const [name, metered, real] of [
  ['Directory', Directory, RealDirectory],
  ['Environment', Environment, RealEnvironment],
  ['Presence', Presence, RealPresence],
  ['AnswerShard', AnswerShard, RealAnswerShard],
  ['Archive', Archive, RealArchive],
  ['CarveSession', CarveSession, RealCarveSession],
  ['Feed', Feed, RealFeed],
  ['Sink', Sink, RealSink],
  ['Tail', Tail, RealTail],
  ['Costs', Costs, RealCosts],
] as const) {
  meterMethods(metered.prototype, real.prototype, name)
}

/** Each app has snapshots and presence of its own, as each isolate has. */
const isolates = new Map<string, App>()
/** Operators' requests: counted, but no part of any figure. */
const operators = createApp()
/** Lines that are older were sent as such, to be compacted. */
const HOUR_MS = 3_600_000
/** From the agent's POST to lines that readers find, in milliseconds. */
let toArchiveMs: number[] = []

function isolate(name: string): App {
  let app = isolates.get(name)
  if (app === undefined) {
    app = createAgentApp()
    isolates.set(name, app)
  }
  return app
}

/** The log queue's consumer is `consumer`; the others are called as their queues are. */
function consumerOf(queue: string): string {
  return queue.endsWith('-deliveries')
    ? 'deliveries'
    : queue.endsWith('-compactions')
      ? 'compactions'
      : 'consumer'
}

/** Answers and audit rows come to the log queue's consumer too: they are no part of what a log POST costs. */
function scopeOfMessage({ body }: Message): string | undefined {
  const kind = decodeMessage(body)?.kind
  return kind === 'answers' || kind === 'audit' ? `message ${kind}` : undefined
}

function takeAll(): Response {
  const taken = { tally: takeTally(), toArchiveMs }
  toArchiveMs = []
  return Response.json(taken)
}

export default {
  fetch(request, env, ctx) {
    const { pathname } = new URL(request.url)
    if (pathname === '/bench/tally') return takeAll()
    const port = request.headers.get('x-bench-port')
    const served = meteredEnv(env, port === 'queue' ? 'queue' : 'inbox')
    if (pathname.startsWith('/api/v1/'))
      return inScope('operator', () => operators.fetch(request, served, ctx))
    const route = pathname.replace('/api/osquery/', '')
    return inScope(`request ${route}`, () => {
      count('requests')
      return isolate(request.headers.get('x-bench-isolate') ?? '0').fetch(request, served, ctx)
    })
  },
  queue: (batch, env) =>
    inScope(consumerOf(batch.queue), async () => {
      count('requests')
      const { metered, done } = meteredMessages(batch, scopeOfMessage)
      await consumeQueue(metered, meteredEnv(env))
      count('done')
      for (const message of done) {
        const content = decodeMessage(message.body)
        const origin = content !== null && 'origin' in content ? content.origin : null
        const ageMs = origin ? Date.now() - origin.receivedAtMs : 0
        if (ageMs > HOUR_MS) count('archived-late')
        else if (origin) toArchiveMs.push(ageMs)
      }
    }),
  scheduled: ({ scheduledTime }, env, ctx) =>
    inScope('cron', async () => {
      count('requests')
      await runSchedule(meteredEnv(env), ctx, scheduledTime)
    }),
} satisfies ExportedHandler<Env>
