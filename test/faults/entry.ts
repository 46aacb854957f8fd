/**
 * The Worker with bindings that can be made to fail, hang or crawl, and that are counted. Only tests build this entry:
 * `src/` has no fault switch. Faults come with a request (`x-test-faults: D1=throw,ARCHIVE=hang`) or, for what objects
 * do by themselves, are set for all (`POST /test/faults`); there `ANSWER_SHARD/2` is one shard alone. Counts of a request come back in `x-test-calls`.
 */

import { AsyncLocalStorage } from 'node:async_hooks'
import { createAgentApp, createApp } from '../../src/app.ts'
import { AnswerShard as RealAnswerShard } from '../../src/queries/answer-shard.ts'
import { Archive as RealArchive } from '../../src/logs/archive.ts'
import { CarveSession as RealCarveSession } from '../../src/carves/carve-session.ts'
import { Directory as RealDirectory } from '../../src/snapshot/directory.ts'
import type { Directory as DirectorySnapshot } from '../../src/snapshot/head.ts'
import { Environment as RealEnvironment } from '../../src/snapshot/environment.ts'
import { Presence as RealPresence } from '../../src/presence/presence.ts'
import { Sink as RealSink } from '../../src/logs/deliver/sink.ts'
import { Costs as RealCosts } from '../../src/costs/costs.ts'
import { Tail as RealTail } from '../../src/logs/tail/tail.ts'
import { Feed as RealFeed } from '../../src/queries/feed.ts'
import { consumeQueue } from '../../src/queue.ts'
import { runSchedule } from '../../src/schedule.ts'
import { WorkerEntrypoint } from 'cloudflare:workers'

/** `lost`: it is done, but nobody hears so. */
type Mode = 'throw' | 'hang' | 'slow' | 'lost'
type Faults = Record<string, Mode>

/** Longer than an agent waits (16 s, spec 1.3). */
const SLOW_MS = 20_000

interface Scope {
  faults: Faults
  calls: Record<string, number>
}

const scope = new AsyncLocalStorage<Scope>()
let faultsForAll: Faults = {}

function before(binding: string, call: string, one = binding): Promise<unknown> | null {
  const current = scope.getStore()
  if (current !== undefined) {
    const key = `${binding}.${call}`
    current.calls[key] = (current.calls[key] ?? 0) + 1
  }
  const mode = current?.faults[binding] ?? faultsForAll[binding] ?? faultsForAll[one]
  if (mode === undefined) return null
  switch (mode) {
    case 'throw':
      return Promise.reject(new Error(`injected: ${binding} is away (SELECT secret FROM parameters)`))
    case 'hang':
      return new Promise<void>(() => undefined)
    case 'slow':
      return new Promise((resolve) => setTimeout(resolve, SLOW_MS))
    case 'lost':
      return null
  }
}

function isLost(binding: string): boolean {
  return (scope.getStore()?.faults[binding] ?? faultsForAll[binding]) === 'lost'
}

// Called through Reflect.apply: on an RPC stub `.apply` would be taken for a remote method.
type Callable = (...args: unknown[]) => unknown

/** A binding whose methods first meet the fault, if there is one. */
function faulty<T extends object>(
  target: T,
  binding: string,
  wrapResult?: (result: unknown, call: string, args: unknown[]) => unknown,
  one = binding,
): T {
  return new Proxy(target, {
    get(object, property) {
      const value: unknown = Reflect.get(object, property, object)
      if (typeof value !== 'function' || typeof property !== 'string') return value
      return (...args: unknown[]) => {
        if (wrapResult !== undefined)
          return wrapResult(Reflect.apply(value as Callable, object, args), property, args)
        const fault = before(binding, property, one)
        if (isLost(binding))
          return (Reflect.apply(value as Callable, object, args) as Promise<unknown>).then(() => {
            throw new Error(`injected: the reply of ${binding} is lost`)
          })
        return fault === null
          ? Reflect.apply(value as Callable, object, args)
          : fault.then(() => Reflect.apply(value as Callable, object, args))
      }
    },
  })
}

/** D1 does its I/O in the statements and in batch, not in prepare. */
function faultyD1(db: D1Database): D1Database {
  const originals = new WeakMap<object, D1PreparedStatement>()
  function statement(real: D1PreparedStatement): D1PreparedStatement {
    const wrapped = new Proxy(real, {
      get(object, property) {
        const value: unknown = Reflect.get(object, property, object)
        if (typeof value !== 'function') return value
        if (property === 'bind') return (...args: unknown[]) => statement(object.bind(...args))
        return (...args: unknown[]) => {
          const fault = before('DB', String(property))
          return fault === null
            ? Reflect.apply(value as Callable, object, args)
            : fault.then(() => Reflect.apply(value as Callable, object, args))
        }
      },
    })
    originals.set(wrapped, real)
    return wrapped
  }
  return new Proxy(db, {
    get(object, property) {
      if (property === 'prepare') return (sql: string) => statement(object.prepare(sql))
      if (property === 'batch') {
        return (statements: D1PreparedStatement[]) => {
          const run = () => object.batch(statements.map((wrapped) => originals.get(wrapped) ?? wrapped))
          return before('DB', 'batch')?.then(run) ?? run()
        }
      }
      const value: unknown = Reflect.get(object, property, object)
      return typeof value === 'function' ? (value as Callable).bind(object) : value
    },
  })
}

function faultyNamespace<T extends object>(namespace: T, binding: string): T {
  return faulty(namespace, binding, (result, call, args) =>
    call === 'getByName' || call === 'get'
      ? faulty(result as object, binding, undefined, `${binding}/${String(args[0]).split('/').at(-1)}`)
      : result,
  )
}

const NAMESPACES = [
  'DIRECTORY',
  'ENVIRONMENT',
  'PRESENCE',
  'ANSWER_SHARD',
  'ARCHIVE_INDEX',
  'CARVE_SESSION',
  'FEED',
  'SINK',
  'TAIL',
  'COSTS',
] as const

function faultyEnv(env: Env): Env {
  const wrapped: Record<string, unknown> = { ...env, DB: faultyD1(env.DB) }
  for (const bucket of ['ARCHIVE', 'CARVES'] as const) wrapped[bucket] = faulty(env[bucket], bucket)
  for (const queue of ['LOGS', 'DELIVERIES', 'COMPACTIONS'] as const)
    wrapped[queue] = faulty(env[queue], queue)
  for (const namespace of NAMESPACES) wrapped[namespace] = faultyNamespace(env[namespace], namespace)
  return wrapped as unknown as Env
}

export class Directory extends RealDirectory {
  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, faultyEnv(env))
  }

  /** What is due within five minutes, now. */
  runAlarm(): Promise<void> {
    return this.alarm()
  }

  /** As if another Worker had stored it. */
  install(directory: DirectorySnapshot): void {
    this.ctx.storage.sql.exec('UPDATE directory SET json = ?', JSON.stringify(directory))
  }
}
export class Environment extends RealEnvironment {
  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, faultyEnv(env))
  }

  /** What is due within five minutes, now. */
  runAlarm(): Promise<void> {
    return this.alarm()
  }
}
export class Presence extends RealPresence {
  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, faultyEnv(env))
  }
}
export class AnswerShard extends RealAnswerShard {
  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, faultyEnv(env))
  }
}
export class Archive extends RealArchive {}
export class CarveSession extends RealCarveSession {
  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, faultyEnv(env))
  }
}
export class Feed extends RealFeed {
  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, faultyEnv(env))
  }
}
export class Sink extends RealSink {
  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, faultyEnv(env))
  }
}
export class Costs extends RealCosts {}
export class Tail extends RealTail {
  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, faultyEnv(env))
  }
}

const warm = { app: createApp(), agents: createAgentApp() }

/** What an app may do that its own handlers cannot catch, or what another machine may say in its place. */
const BREAKDOWNS: Record<string, () => Response | Promise<Response>> = {
  throw: () => {
    throw new Error('injected: the app is broken')
  },
  hang: () => new Promise<Response>(() => undefined),
  empty: () => new Response(null, { status: 500 }),
  'foreign-json': () => Response.json({ type: 'about:blank', error_code: 1101 }, { status: 500 }),
  'not-modified': () => new Response(null, { status: 304 }),
  html: () => new Response('<h1>Error</h1>', { status: 502, headers: { 'content-type': 'text/html' } }),
}

async function serve(
  request: Request,
  env: Env,
  ctx: ExecutionContext,
  kind: 'app' | 'agents',
): Promise<Response> {
  const url = new URL(request.url)
  if (url.pathname === '/test/faults') {
    faultsForAll = await request.json<Faults>()
    return new Response('set')
  }
  const breakdown = BREAKDOWNS[request.headers.get('x-test-breakdown') ?? '']
  if (breakdown !== undefined) return breakdown()
  const current: Scope = { faults: parse(request.headers.get('x-test-faults')), calls: {} }
  // A cold isolate: nothing in memory.
  const cold = request.headers.has('x-test-cold')
  const app = !cold ? warm[kind] : kind === 'app' ? createApp() : createAgentApp()
  const startedAtMs = Date.now()
  return scope.run(current, async () => {
    const response = await app.fetch(request, faultyEnv(env), ctx)
    const counted = new Response(response.body, response)
    counted.headers.set('x-test-calls', JSON.stringify(current.calls))
    counted.headers.set('x-test-took-ms', String(Date.now() - startedAtMs))
    return counted
  })
}

function parse(header: string | null): Faults {
  const pairs = (header ?? '').split(',').filter((pair) => pair.includes('='))
  return Object.fromEntries(pairs.map((pair) => pair.split('=') as [string, Mode]))
}

export class Agents extends WorkerEntrypoint<Env> {
  override async fetch(request: Request): Promise<Response> {
    return serve(request, this.env, this.ctx, 'agents')
  }
}

export default {
  fetch: (request, env, ctx) => serve(request, env, ctx, 'app'),
  queue: (batch, env) => consumeQueue(batch, faultyEnv(env)),
  scheduled: ({ scheduledTime }, env, ctx) => runSchedule(faultyEnv(env), ctx, scheduledTime),
} satisfies ExportedHandler<Env>
