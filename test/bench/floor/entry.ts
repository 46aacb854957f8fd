/**
 * The product's Worker and, in the same isolate, what it is compared with. Only the benchmark builds this entry.
 * - `default`: the product; `queuePort`: the same with the other ack port
 * - `alone`, `aloneQueue`: the product with R2 and queue answering at once, so that only the Worker is measured
 * - `floor`: an empty JSON handler
 */

import { createApp } from '../../../src/app.ts'
import product from '../../../src/index.ts'

export * from '../../../src/index.ts'
export default product

const app = createApp()

function served(environment: (env: Env) => Env): ExportedHandler<Env> {
  let made: Env | undefined
  return {
    fetch(request, env, ctx) {
      made ??= environment(env)
      return app.fetch(request, made, ctx)
    },
  }
}

const ARCHIVE = { put: async () => null } as unknown as R2Bucket
const LOGS = { send: async () => undefined } as unknown as Queue

export const queuePort = served((env) => ({ ...env, LOG_ACK_PORT: 'queue' as Env['LOG_ACK_PORT'] }))
export const alone = served((env) => ({ ...env, ARCHIVE, LOGS }))
export const aloneQueue = served((env) => ({
  ...env,
  ARCHIVE,
  LOGS,
  LOG_ACK_PORT: 'queue' as Env['LOG_ACK_PORT'],
}))

export const floor: ExportedHandler<Env> = {
  fetch: () => new Response('{}', { headers: { 'content-type': 'application/json' } }),
}
