/** Stands in for the app behind the guard: does what its path says. */

import { WorkerEntrypoint } from 'cloudflare:workers'

const MARKED = { 'x-osquery-edge': '1' }

export class Agents extends WorkerEntrypoint {
  override async fetch(request: Request): Promise<Response> {
    const script = new URL(request.url).pathname.slice(1)
    switch (script) {
      case 'answer':
        return Response.json({ node_key: 'k' }, { headers: { ...MARKED, 'x-more': 'kept' } })
      case 'retry':
        return new Response('retry', { status: 503, headers: MARKED })
      case 'echo':
        return echo(request)
      case 'throw':
        throw new Error('out of order')
      case 'hang':
        // A pending timer: what is pending on nothing at all, the runtime ends by itself.
        await scheduler.wait(60_000)
        return Response.json({}, { headers: MARKED })
      case 'never':
        return new Promise<Response>(() => undefined)
      case 'unmarked':
        return Response.json({})
      case 'unmarked-error':
        return Response.json({ message: 'Internal error' }, { status: 500 })
      case 'html':
        return new Response('<html>blocked</html>', { status: 403, headers: { 'content-type': 'text/html' } })
      case 'not-modified':
        return new Response(null, { status: 304 })
      case 'redirect':
        return new Response(null, { status: 302, headers: { location: '/answer' } })
      case 'marked-not-modified':
        return new Response(null, { status: 304, headers: MARKED })
      case 'marked-no-content':
        return new Response(null, { status: 204, headers: MARKED })
      case 'empty':
        return new Response('')
      case 'marked-empty':
        return new Response('', { headers: MARKED })
      case 'marked-empty-stream':
        return new Response(new ReadableStream({ start: (controller) => controller.close() }), {
          headers: MARKED,
        })
      case 'marked-stream':
        return new Response(new Blob(['x'.repeat(3_000_000)]).stream(), { headers: MARKED })
      case 'broken-stream':
        return new Response(brokenAfter('{"node_key":'), { headers: MARKED })
      default:
        return new Response('no such script', { status: 404 })
    }
  }
}

function brokenAfter(text: string): ReadableStream {
  let isFirst = true
  return new ReadableStream({
    pull(controller) {
      if (isFirst) controller.enqueue(new TextEncoder().encode(text))
      else controller.error(new Error('out of memory'))
      isFirst = false
    },
  })
}

async function echo(request: Request): Promise<Response> {
  const { method, headers } = request
  const told = {
    method,
    bytes: (await request.arrayBuffer()).byteLength,
    headers: Object.fromEntries(headers),
  }
  return Response.json(told, { headers: MARKED })
}

export default {
  fetch: () => new Response('the default entrypoint: not for agents', { headers: MARKED }),
}
