/**
 * The meter's Worker with the operators' routes beside it, and shards that can be told not to wait. Only the benchmark
 * builds this entry.
 */

import { createApp } from '../../../src/app.ts'
import { meteredEnv } from '../meter/bindings.ts'
import meter, { AnswerShard as MeteredAnswerShard } from '../meter/entry.ts'
import { inScope } from '../meter/tally.ts'

export * from '../meter/entry.ts'

export class AnswerShard extends MeteredAnswerShard {
  /** As if the thirty seconds between two reports of the remaining nodes were over. */
  reportNow(): Promise<void> {
    return this.ctx.storage.setAlarm(Date.now())
  }
}

const operators = createApp()

export default {
  ...meter,
  fetch(request, env, ctx) {
    return new URL(request.url).pathname.startsWith('/api/v1/')
      ? inScope('operator', () => operators.fetch(request, meteredEnv(env), ctx))
      : meter.fetch(request, env, ctx)
  },
} satisfies ExportedHandler<Env>
