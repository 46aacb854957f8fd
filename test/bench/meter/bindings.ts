/** Bindings that count what Cloudflare bills for them, and are otherwise themselves. Runs inside of the Worker. */

import { beginWork, count, endWork } from './tally.ts'

// Called through Reflect.apply: on an RPC stub `.apply` would be taken for a remote method.
type Callable = (...args: unknown[]) => unknown
type Members = Record<string, unknown>

/** A queue operation is billed for each started 64 KB (Queues pricing). */
const OPERATION_BYTES = 65_536
const CLASS_A = new Set(['put', 'list', 'createMultipartUpload', 'uploadPart', 'complete'])
const CLASS_B = new Set(['get', 'head'])
/** What isolates ask for by themselves: once in a time, whatever the number of requests. */
const BY_ISOLATE = new Set([
  'Environment.head',
  'Environment.part',
  'Directory.read',
  'Directory.noteEnrolls',
  'Presence.flush',
])

const NAMESPACES = {
  DIRECTORY: 'Directory',
  ENVIRONMENT: 'Environment',
  PRESENCE: 'Presence',
  ANSWER_SHARD: 'AnswerShard',
  ARCHIVE_INDEX: 'Archive',
  CARVE_SESSION: 'CarveSession',
  FEED: 'Feed',
  SINK: 'Sink',
  TAIL: 'Tail',
  COSTS: 'Costs',
} as const
const QUEUES = ['LOGS', 'DELIVERIES', 'COMPACTIONS'] as const

const made = new WeakMap<Env, Map<string, Env>>()

/** The environment with counting bindings; the same object each time. */
export function meteredEnv(env: Env, port: Env['LOG_ACK_PORT'] = env.LOG_ACK_PORT): Env {
  const byPort = made.get(env) ?? new Map<string, Env>()
  made.set(env, byPort)
  const known = byPort.get(port)
  if (known !== undefined) return known
  const wrapped: Members = { ...env, LOG_ACK_PORT: port, DB: meteredD1(env.DB) }
  for (const queue of QUEUES) wrapped[queue] = meteredQueue(env[queue])
  for (const bucket of ['ARCHIVE', 'CARVES'] as const) wrapped[bucket] = meteredR2(env[bucket])
  for (const [binding, name] of Object.entries(NAMESPACES)) {
    wrapped[binding] = meteredNamespace(env[binding as keyof typeof NAMESPACES], name)
  }
  const served = wrapped as unknown as Env
  byPort.set(port, served)
  return served
}

/** A proxy whose methods go through `call`; what is no method is handed on. */
function wrapped<T extends object>(
  target: T,
  call: (method: string, run: Callable, args: unknown[]) => unknown,
): T {
  return new Proxy(target, {
    get(object, property) {
      const value: unknown = Reflect.get(object, property, object)
      if (typeof value !== 'function' || typeof property !== 'string') return value
      const run: Callable = (...args) => Reflect.apply(value as Callable, object, args)
      return (...args: unknown[]) => call(property, run, args)
    },
  })
}

function meteredD1(db: D1Database): D1Database {
  const originals = new WeakMap<object, D1PreparedStatement>()
  function noted<T>(result: D1Result<T>): D1Result<T> {
    count('d1.rowsRead', result.meta.rows_read)
    count('d1.rowsWritten', result.meta.rows_written)
    return result
  }
  function statement(real: D1PreparedStatement): D1PreparedStatement {
    const proxy = wrapped(real, (method, run, args) => {
      if (method === 'bind') return statement(real.bind(...args))
      count('d1.statements')
      // `first` does not tell what it read; `all` does, and is the same query.
      if (method === 'first') return real.all<Members>().then((result) => firstOf(noted(result), args[0]))
      if (method === 'raw') return run(...args)
      return (run(...args) as Promise<D1Result>).then(noted)
    })
    originals.set(proxy, real)
    return proxy
  }
  return wrapped(db, (method, run, args) => {
    if (method === 'prepare') return statement(run(...args) as D1PreparedStatement)
    if (method !== 'batch') return run(...args)
    const statements = args[0] as D1PreparedStatement[]
    count('d1.statements', statements.length)
    return db
      .batch(statements.map((proxy) => originals.get(proxy) ?? proxy))
      .then((results) => results.map(noted))
  })
}

function firstOf({ results }: D1Result<Members>, column: unknown): unknown {
  const [row] = results
  return row === undefined ? null : typeof column === 'string' ? row[column] : row
}

function meteredR2<T extends R2Bucket | R2MultipartUpload>(target: T): T {
  return wrapped(target, (method, run, args) => {
    if (CLASS_A.has(method)) count('r2.a')
    if (CLASS_B.has(method)) count('r2.b')
    if (method === 'put') count('r2.puts')
    const result = run(...args)
    if (method === 'resumeMultipartUpload') return meteredR2(result as R2MultipartUpload)
    if (method === 'createMultipartUpload') return (result as Promise<R2MultipartUpload>).then(meteredR2)
    if (method === 'put') return (result as Promise<R2Object>).then(stored)
    return result
  })
}

function stored(object: R2Object): R2Object {
  count(`stored ${object.key.split('/')[0] ?? ''}`, object.size)
  return object
}

function operations(body: unknown): number {
  const bytes = body instanceof ArrayBuffer || ArrayBuffer.isView(body) ? body.byteLength : 0
  return Math.max(1, Math.ceil(bytes / OPERATION_BYTES))
}

function meteredQueue(queue: Queue): Queue {
  return wrapped(queue, (method, run, args) => {
    const bodies =
      method === 'send'
        ? [args[0]]
        : method === 'sendBatch'
          ? [...(args[0] as MessageSendRequest[])].map(({ body }) => body)
          : []
    count('queue.sends', bodies.length)
    for (const body of bodies) count('queue.operations', operations(body))
    return run(...args)
  })
}

/**
 * A batch whose messages count one read each, and one delete when they are acknowledged, in the scope of what they are
 * about: undefined is the present one.
 */
export function meteredMessages(
  batch: MessageBatch,
  scopeOf: (message: Message) => string | undefined = () => undefined,
): { metered: MessageBatch; done: Message[] } {
  const done: Message[] = []
  const messages = batch.messages.map((message) => {
    const scope = scopeOf(message)
    count('messages', 1, scope)
    // Told apart: how often a message comes again is the machine's doing, and would be in no two runs the same.
    count(message.attempts > 1 ? 'queue.again' : 'queue.operations', operations(message.body), scope)
    return wrapped(message, (method, run, args) => {
      if (method === 'ack') {
        count('queue.operations', operations(message.body), scope)
        done.push(message)
      }
      return run(...args)
    })
  })
  const metered = new Proxy(batch, {
    get: (object, property) =>
      property === 'messages' ? messages : (Reflect.get(object, property, object) as unknown),
  })
  return { metered, done }
}

function meteredNamespace<T extends object>(namespace: T, name: string): T {
  return wrapped(namespace, (method, run, args) => {
    const result = run(...args)
    return method === 'getByName' ? meteredStub(result as object, name, String(args[0])) : result
  })
}

/** Each call is one request and keeps its object at work until it has ended. */
function meteredStub<T extends object>(stub: T, name: string, object: string): T {
  return wrapped(stub, async (method, run, args) => {
    const call = `${name}.${method}`
    count(`do ${call}`, 1, BY_ISOLATE.has(call) ? 'isolate' : undefined)
    beginWork(`${name}/${object}`)
    try {
      return await run(...args)
    } finally {
      endWork(`${name}/${object}`)
    }
  })
}
