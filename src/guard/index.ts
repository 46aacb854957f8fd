/**
 * The guard: owns the agents' hostname and stands before the app. osqueryd ignores the status of a reply: an empty body
 * or a JSON error page counts as success for it, and its logs are gone. The app catches its own exceptions; what it cannot
 * catch - a memory or CPU limit, a hung promise, a broken deployment - ends here as `retry`, the text that every endpoint of
 * every osquery takes for "keep it and come back". It must not parse anything, so that nothing an agent sends can break it.
 */

/** Same as MARKER_HEADER in the app; not imported, so that the guard shares no code that could break with it. */
const MARKER_HEADER = 'x-osquery-edge'

// The app answers within 8 s; osqueryd gives up at 16 s.
const DEADLINE_MS = 9_000

interface GuardEnv {
  APP: Fetcher
}

type Verdict = { reply: Response } | { reason: 'threw' | 'timeout' | 'unmarked' | 'empty' }

export default {
  async fetch(request, env): Promise<Response> {
    const verdict = await ask(env.APP, request)
    if ('reply' in verdict) return verdict.reply
    console.warn(JSON.stringify({ event: 'guard-retry', reason: verdict.reason }))
    return new Response('retry', { status: 503, headers: { 'content-type': 'text/plain' } })
  },
} satisfies ExportedHandler<GuardEnv>

async function ask(app: Fetcher, request: Request): Promise<Verdict> {
  let timer: ReturnType<typeof setTimeout> | undefined
  const timeout = new Promise<Verdict>((resolve) => {
    timer = setTimeout(() => resolve({ reason: 'timeout' }), DEADLINE_MS)
  })
  try {
    return await Promise.race([judge(app.fetch(request)), timeout])
  } catch {
    return { reason: 'threw' }
  } finally {
    clearTimeout(timer)
  }
}

/**
 * The body is read whole before it goes on: its length says whether it is empty, and an app that dies half-way
 * ends as `retry`. Replies are small (a configuration is less than 1 MiB).
 */
async function judge(replying: Promise<Response>): Promise<Verdict> {
  const reply = await replying
  if (reply.headers.get(MARKER_HEADER) !== '1') return { reason: 'unmarked' }
  const body = await reply.arrayBuffer()
  return body.byteLength === 0 ? { reason: 'empty' } : { reply: new Response(body, reply) }
}
