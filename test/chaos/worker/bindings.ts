/** Bindings that meet the faults and are otherwise themselves. Knows them by what they can do, so that any version's do. */

import { faultFor, meet } from './control.ts'
import { reusedOrdinal, tamperedLines } from './defects.ts'

// Called through Reflect.apply: on an RPC stub `.apply` would be taken for a remote method.
type Callable = (...args: unknown[]) => unknown

const made = new WeakMap<object, Env>()

/** The environment with bindings that may fail; the same object each time. */
export function chaosEnv(env: Env): Env {
  const known = made.get(env)
  if (known !== undefined) return known
  const classes = (Reflect.get(env, 'CHAOS_CLASSES') ?? {}) as Record<string, string>
  const wrapped = Object.fromEntries(
    Object.entries(env).map(([name, value]) => [name, wrappedBinding(value, classes[name])]),
  ) as unknown as Env
  made.set(env, wrapped)
  return wrapped
}

function wrappedBinding(value: unknown, className: string | undefined): unknown {
  if (typeof value !== 'object' || value === null) return value
  if (className !== undefined) return wrappedNamespace(value, className)
  if ('prepare' in value) return wrappedD1(value as D1Database)
  if ('createMultipartUpload' in value) return wrappedR2(value)
  return 'sendBatch' in value ? through(value, 'queue') : value
}

/** A proxy whose methods meet the target's faults. `call` does what else there is to do. */
function through<T extends object>(
  target: T,
  name: string,
  call: (method: string, run: Callable, args: unknown[]) => unknown = (_method, run, args) => run(...args),
): T {
  return new Proxy(target, {
    get(object, property) {
      const value: unknown = Reflect.get(object, property, object)
      if (typeof value !== 'function' || typeof property !== 'string') return value
      const run: Callable = (...args) => Reflect.apply(value as Callable, object, args)
      return (...args: unknown[]) => {
        const fault = faultFor(name)
        return fault === null ? call(property, run, args) : meet(fault, () => call(property, run, args))
      }
    },
  })
}

function wrappedR2<T extends object>(bucket: T): T {
  const faulty = through(bucket, 'r2', (method, run, args) => {
    if (method === 'put') return tamperedLines(args).then((tampered) => run(...tampered))
    return method === 'createMultipartUpload'
      ? (run(...args) as Promise<object>).then((upload) => through(upload, 'r2'))
      : run(...args)
  })
  return new Proxy(bucket, {
    get(object, property) {
      // It does no I/O itself, and answers at once.
      if (property === 'resumeMultipartUpload')
        return (...args: [string, string]) =>
          through((object as unknown as R2Bucket).resumeMultipartUpload(...args), 'r2')
      return Reflect.get(faulty, property) as unknown
    },
  })
}

/** D1 does its I/O in the statements and in `batch`, not in `prepare`. */
function wrappedD1(db: D1Database): D1Database {
  const originals = new WeakMap<object, D1PreparedStatement>()
  function statement(real: D1PreparedStatement, sql: string, bound: readonly unknown[]): D1PreparedStatement {
    const faulty = through(real, 'd1', (method, run, args) =>
      method === 'first' ? reusedOrdinal(sql, bound, run(...args) as Promise<unknown>) : run(...args),
    )
    const wrapped = new Proxy(real, {
      get: (object, property) =>
        property === 'bind'
          ? (...args: unknown[]) => statement(object.bind(...args), sql, args)
          : (Reflect.get(faulty, property) as unknown),
    })
    originals.set(wrapped, real)
    return wrapped
  }
  const faulty = through(db, 'd1', (method, run, args) => {
    if (method !== 'batch') return run(...args)
    return run((args[0] as D1PreparedStatement[]).map((wrapped) => originals.get(wrapped) ?? wrapped))
  })
  return new Proxy(db, {
    get: (object, property) =>
      property === 'prepare'
        ? (sql: string) => statement(object.prepare(sql), sql, [])
        : (Reflect.get(faulty, property) as unknown),
  })
}

/** What the platform refuses in front of an object. What the object does itself is in objects.ts. */
function wrappedNamespace<T extends object>(namespace: T, className: string): T {
  const target = `object:${className}`
  return new Proxy(namespace, {
    get(object, property) {
      const value: unknown = Reflect.get(object, property, object)
      if (typeof value !== 'function') return value
      return (...args: unknown[]) => {
        const result = Reflect.apply(value as Callable, object, args)
        return property === 'getByName' || property === 'get'
          ? refusing(result as object, target)
          : (result as unknown)
      }
    },
  })
}

function refusing<T extends object>(stub: T, target: string): T {
  return new Proxy(stub, {
    get(object, property) {
      const value: unknown = Reflect.get(object, property, object)
      if (typeof value !== 'function' || typeof property !== 'string') return value
      return (...args: unknown[]) => {
        const fault = faultFor(target, ['overloaded'])
        const run = () => Reflect.apply(value as Callable, object, args)
        return fault === null ? run() : meet(fault, run)
      }
    },
  })
}
