/**
 * The Worker that `npm run chaos` runs: the product's own entry with faults around it. Only chaos builds it, also from
 * the sources of an earlier version: so of the product it knows nothing but what index.ts exports.
 */

// First, see there.
import './clock.ts'
import * as product from '../../../src/index.ts'
import { chaosEnv } from './bindings.ts'
import { configure, control, faultFor, meet } from './control.ts'
import { serveWithDefect } from './defects.ts'
import { chaotic } from './objects.ts'

export const Directory = chaotic(product.Directory, 'Directory')
export const Environment = chaotic(product.Environment, 'Environment')
export const Presence = chaotic(product.Presence, 'Presence')
export const AnswerShard = chaotic(product.AnswerShard, 'AnswerShard')
export const Archive = chaotic(product.Archive, 'Archive')
export const CarveSession = chaotic(product.CarveSession, 'CarveSession')
export const Feed = chaotic(product.Feed, 'Feed')
export const Sink = chaotic(product.Sink, 'Sink')
export const Tail = chaotic(product.Tail, 'Tail')
export const Costs = chaotic(product.Costs, 'Costs')

const { default: worker } = product

export default {
  async fetch(request, env, ctx) {
    configure(env)
    const told = await control(request)
    if (told !== null) return told
    const waitUntil = (work: Promise<unknown>) => ctx.waitUntil(work)
    return serveWithDefect(request, waitUntil, (served) => worker.fetch(served as never, chaosEnv(env), ctx))
  },
  async queue(batch, env) {
    configure(env)
    const fault = faultFor('consumer')
    const run = () => worker.queue(batch, chaosEnv(env))
    return fault === null ? run() : meet(fault, run)
  },
  scheduled(controller, env, ctx) {
    configure(env)
    return worker.scheduled(controller, chaosEnv(env), ctx)
  },
} satisfies ExportedHandler<Env>
