/** Counts the rows that an object's SQLite reads and writes, by the method that did it. Runs inside of the Worker. */

import { beginWork, count, endWork, inScope } from './tally.ts'

type Callable = (...args: unknown[]) => unknown
type Cursor = SqlStorageCursor<Record<string, SqlStorageValue>>

/** Cursors whose rows are not counted yet, by their database. */
const open = new WeakMap<SqlStorage, Cursor[]>()
let isWatching = false

/** Makes storage tell what it does. The same for all objects: workerd's classes have one prototype each. */
export function watchStorage(ctx: DurableObjectState): DurableObjectState {
  if (isWatching) return ctx
  isWatching = true
  replace(Object.getPrototypeOf(ctx.storage.sql) as object, 'exec', (sql, cursor) => {
    const cursors = open.get(sql as SqlStorage) ?? []
    cursors.push(cursor as Cursor)
    open.set(sql as SqlStorage, cursors)
  })
  // Setting an alarm is billed as one row written (Durable Objects pricing).
  replace(Object.getPrototypeOf(ctx.storage) as object, 'setAlarm', () => count('sql.rowsWritten'))
  return ctx
}

function replace(prototype: object, method: string, note: (self: unknown, result: unknown) => void): void {
  const original = Reflect.get(prototype, method) as Callable
  Object.defineProperty(prototype, method, {
    configurable: true,
    writable: true,
    value(this: unknown, ...args: unknown[]) {
      const result = Reflect.apply(original, this, args)
      note(this, result)
      return result
    },
  })
}

/** Gives every method of an object's class a scope of its own, and counts its rows when it has ended. */
export function meterMethods(metered: object, real: object, name: string): void {
  for (const [method, { value }] of Object.entries(Object.getOwnPropertyDescriptors(real))) {
    if (method === 'constructor' || typeof value !== 'function') continue
    Object.defineProperty(metered, method, {
      configurable: true,
      writable: true,
      value(this: { ctx: DurableObjectState }, ...args: unknown[]) {
        return inScope(`object ${name}.${method}`, () => {
          const run = () => Reflect.apply(value as Callable, this, args)
          return method === 'alarm' ? alarm(this.ctx, name, run) : counted(this.ctx, run)
        })
      },
    })
  }
}

/** An alarm that goes off is a request too. */
async function alarm(ctx: DurableObjectState, name: string, run: () => unknown): Promise<void> {
  const object = `${name}/${ctx.id.name ?? ''}`
  count(`do ${name}.alarm`)
  beginWork(object)
  try {
    await counted(ctx, run)
  } finally {
    endWork(object)
  }
}

function counted(ctx: DurableObjectState, run: () => unknown): unknown {
  const result = run()
  if (!(result instanceof Promise)) {
    settle(ctx.storage.sql)
    return result
  }
  return result.finally(() => settle(ctx.storage.sql))
}

function settle(sql: SqlStorage): void {
  const cursors = open.get(sql) ?? []
  open.delete(sql)
  for (const cursor of cursors) {
    count('sql.rowsRead', cursor.rowsRead)
    count('sql.rowsWritten', cursor.rowsWritten)
  }
}
