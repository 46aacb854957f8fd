/**
 * The Worker on bare workerd: `runtime.ts IP PORT`, with the secrets as environment variables. Bundled by wrangler and described by
 * wrangler.toml as always, but requests come in on a socket of workerd that leads straight to the Worker. Measured on
 * two busy cores, GET /health over 32 kept connections: this socket 9,000-13,000 requests/s, Miniflare's entry 4,000,
 * the entry of `wrangler dev`'s runtime 1,100, its proxy 170.
 */

import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import process from 'node:process'

import { unstable_getMiniflareWorkerOptions, unstable_readConfig } from 'wrangler'

import { ROOT, STATE } from '../start/local-paths.ts'
import { runWrangler } from '../wrangler.ts'

const CRON_PERIOD_MS = 60_000

/** The part of Miniflare that is used. It is wrangler's dependency, not ours, so it is found through wrangler. */
interface MiniflareModule {
  Miniflare: new (options: unknown) => {
    ready: Promise<URL>
    dispatchFetch(url: string): Promise<{ text(): Promise<string> }>
  }
  convertV4MiniflareOptions: (options: unknown) => unknown
}

const wranglerPath = createRequire(import.meta.url).resolve('wrangler')
const { Miniflare, convertV4MiniflareOptions } = createRequire(wranglerPath)('miniflare') as MiniflareModule

const [ip = '127.0.0.1', port = '8443'] = process.argv.slice(2)
const bundle = buildWorker()
const config = unstable_readConfig({ config: join(ROOT, 'wrangler.toml') }, { hideWarnings: true })
const { workerOptions } = unstable_getMiniflareWorkerOptions(config)

const runtime = new Miniflare(
  convertV4MiniflareOptions({
    host: '127.0.0.1',
    port: 0,
    // The folder below which `wrangler dev` keeps its data.
    resourcePersistencePath: join(STATE, 'v3'),
    // Without it the address of the cron trigger is one of the Worker's own, and nothing is swept.
    unsafeTriggerHandlers: true,
    workers: [
      {
        name: config.name,
        ...workerOptions,
        modulesRoot: dirname(bundle),
        modules: [{ type: 'ESModule', path: bundle }],
        unsafeDirectSockets: [{ host: ip, port: Number(port) }],
      },
    ],
  }),
)
await runtime.ready
// The local queue died with the process before: whatever lies in the inbox is nobody's, however young (see start.ts).
tick(Date.now() + CRON_PERIOD_MS)
setInterval(() => tick(Date.now()), CRON_PERIOD_MS)

/** One tick of the cron trigger. A miss is made up by the next one. */
function tick(atMs: number): void {
  const url = `http://localhost/cdn-cgi/local/scheduled?cron=*+*+*+*+*&time=${atMs}`
  runtime
    .dispatchFetch(url)
    .then(async (reply) => {
      const text = await reply.text()
      if (text !== 'ok') throw new Error(`the runtime answered ${text.slice(0, 100)}`)
    })
    .catch((error: unknown) => console.error(`cron: ${String(error)}`))
}

function buildWorker(): string {
  const folder = join(STATE, 'serve')
  const built = runWrangler(['deploy', '--dry-run', '--outdir', folder], 'collect')
  if (!built.ok) throw new Error(built.output)
  return join(folder, 'index.js')
}
