/** The Worker with a clock that a test moves (`POST /test/clock?ms=…`): for what takes minutes. Only tests build it. */

// First, see there.
import { setClock } from '../chaos/worker/clock.ts'
import product from '../../src/index.ts'

export * from '../../src/index.ts'

export default {
  ...product,
  async fetch(request, env, ctx) {
    const url = new URL(request.url)
    if (url.pathname !== '/test/clock') return product.fetch(request, env, ctx)
    setClock(Number(url.searchParams.get('ms')))
    return new Response('{}')
  },
} satisfies ExportedHandler<Env>
