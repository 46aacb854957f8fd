/**
 * The product's Worker, and in the same isolate what its configuration is compared with. Only the benchmark builds this entry.
 * - `default`: the product
 * - `counted`: the agent routes with every binding call counted; `x-bench-isolate: N` picks one of many isolates' memories,
 *   `GET /bench/tally` tells what was counted since it was last asked
 * - `floor`: an empty JSON handler; `large`: one that answers with 200 KB which it holds
 */

import { createAgentApp, type App } from '../../../src/app.ts'
import product from '../../../src/index.ts'
import { meteredEnv } from '../meter/bindings.ts'
import { count, inScope, takeTally } from '../meter/tally.ts'
import { DOCUMENT_BYTES } from './document-bytes.ts'

export * from '../../../src/index.ts'
export default product

const isolates = new Map<string, App>()

function isolate(name: string): App {
  let app = isolates.get(name)
  if (app === undefined) {
    app = createAgentApp()
    isolates.set(name, app)
  }
  return app
}

export const counted: ExportedHandler<Env> = {
  fetch(request, env, ctx) {
    const { pathname } = new URL(request.url)
    if (pathname === '/bench/tally') return Response.json({ tally: takeTally(), toArchiveMs: [] })
    return inScope(`request ${pathname.replace('/api/osquery/', '')}`, () => {
      count('requests')
      return isolate(request.headers.get('x-bench-isolate') ?? '0').fetch(request, meteredEnv(env), ctx)
    })
  },
}

const JSON_REPLY = { headers: { 'content-type': 'application/json' } }
const LARGE = new TextEncoder().encode(`{"x":"${'x'.repeat(DOCUMENT_BYTES - 8)}"}`)

export const floor: ExportedHandler<Env> = { fetch: () => new Response('{}', JSON_REPLY) }
export const large: ExportedHandler<Env> = { fetch: () => new Response(LARGE, JSON_REPLY) }
