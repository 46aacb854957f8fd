/** The product's Durable Object classes, which throw or lose their memory when they are told to. */

import type { DurableObject } from 'cloudflare:workers'
import { chaosEnv } from './bindings.ts'
import { translateAlarms } from './clock.ts'
import { configure, faultFor } from './control.ts'
import type { Fault } from './fault.ts'

type ObjectClass = new (ctx: DurableObjectState, env: Env) => DurableObject<Env>
type Callable = (...args: unknown[]) => unknown

/** A subclass that meets faults in every method and alarm. A class that this version does not have stays away. */
export function chaotic(real: ObjectClass | undefined, name: string): ObjectClass | undefined {
  if (real === undefined) return undefined
  const Chaotic = class extends real {
    constructor(ctx: DurableObjectState, env: Env) {
      configure(env)
      translateAlarms(ctx.storage)
      super(ctx, chaosEnv(env))
    }
  }
  for (const [method, { value }] of Object.entries(Object.getOwnPropertyDescriptors(real.prototype))) {
    if (method === 'constructor' || typeof value !== 'function') continue
    Object.defineProperty(Chaotic.prototype, method, {
      configurable: true,
      writable: true,
      value(this: { ctx: DurableObjectState }, ...args: unknown[]) {
        const fault = faultFor(`object:${name}`, ['throw', 'evict'])
        const run = () => Reflect.apply(value as Callable, this, args)
        return fault === null ? run() : struckBy(fault, this.ctx, run)
      },
    })
  }
  return Chaotic
}

/** Half of the time the work is done first: then the caller cannot know, and must be able to ask again. */
async function struckBy(fault: Fault, ctx: DurableObjectState, run: () => unknown): Promise<never> {
  if (Math.random() < 0.5) await run()
  if (fault.mode === 'evict') ctx.abort('chaos: evicted')
  throw new Error('chaos: the object threw')
}
