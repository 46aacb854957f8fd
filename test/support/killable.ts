/** The Worker on bare workerd with data that stays, for tests that kill it in the middle and start it again. */

import { createRequire } from 'node:module'
import { join } from 'node:path'
import { unstable_getMiniflareWorkerOptions, unstable_readConfig } from 'wrangler'
import { runWrangler } from '../../src/cli/wrangler.ts'
import { NO_BUILT_IN } from '../../src/config/built-in.ts'
import { seedFirstEnvironment } from '../../src/db/seed.ts'
import { findWorkerd } from '../bench/workerd-process.ts'
import { ENROLL_SECRET, OPERATOR_TOKEN, SIGNING_KEYS, STARTER_CONFIGURATION } from './harness.ts'
import { applyMigrations } from './migrations.ts'

const ROOT = join(import.meta.dirname, '..', '..')

/** The part of Miniflare that is used. It is wrangler's dependency, not ours, so it is found through wrangler. */
interface MiniflareModule {
  Miniflare: new (options: unknown) => {
    ready: Promise<URL>
    getBindings(): Promise<unknown>
    dispatchFetch(url: string, init?: RequestInit): Promise<Response>
    dispose(): Promise<void>
  }
  convertV4MiniflareOptions: (options: unknown) => unknown
}

const wranglerPath = createRequire(import.meta.url).resolve('wrangler')
const { Miniflare, convertV4MiniflareOptions } = createRequire(wranglerPath)('miniflare') as MiniflareModule

export interface KillableServer {
  env: Env
  /** Calls the admin route under /api/v1 as an operator; the reply's JSON. */
  operator<T>(method: string, path: string, body?: unknown): Promise<T>
  /** Runs the cron trigger as if it were that time. */
  tick(atMs: number): Promise<void>
  /** Ends the process without a word. */
  kill(): Promise<void>
  close(): Promise<void>
}

/** Bundles the Worker into a folder; returns the path of the bundle. */
export function buildWorker(folder: string): string {
  const built = runWrangler(
    ['deploy', '--dry-run', '--config', join(ROOT, 'wrangler.toml'), '--outdir', folder],
    'collect',
  )
  if (!built.ok) throw new Error(built.output)
  return join(folder, 'index.js')
}

/** Starts it on the data of a folder, which are made where there are none. */
export async function startKillable(
  bundle: string,
  dataFolder: string,
  isNew: boolean,
): Promise<KillableServer> {
  const config = unstable_readConfig({ config: join(ROOT, 'wrangler.toml') }, { hideWarnings: true })
  process.env['SIGNING_KEYS'] = SIGNING_KEYS
  const { workerOptions } = unstable_getMiniflareWorkerOptions(config)
  const runtime = new Miniflare(
    convertV4MiniflareOptions({
      host: '127.0.0.1',
      port: 0,
      resourcePersistencePath: dataFolder,
      unsafeTriggerHandlers: true,
      handleStructuredLogs: () => undefined,
      workers: [
        {
          name: config.name,
          ...workerOptions,
          bindings: { ...(workerOptions.bindings as object), SIGNING_KEYS },
          modulesRoot: join(bundle, '..'),
          modules: [{ type: 'ESModule', path: bundle }],
        },
      ],
    }),
  )
  await runtime.ready
  const env = (await runtime.getBindings()) as Env
  if (isNew) {
    await applyMigrations(env.DB)
    await seedFirstEnvironment(env.DB, {
      environmentName: 'default',
      enrollSecret: ENROLL_SECRET,
      operatorToken: OPERATOR_TOKEN,
      configurationText: STARTER_CONFIGURATION,
      builtIn: NO_BUILT_IN,
    })
  }
  const pid = findWorkerd()
  return {
    env,
    async operator<T>(method: string, path: string, body?: unknown): Promise<T> {
      const reply = await runtime.dispatchFetch(`http://localhost/api/v1${path}`, {
        method,
        headers: { authorization: `Bearer ${OPERATOR_TOKEN}` },
        body: body === undefined ? null : JSON.stringify(body),
      })
      const text = await reply.text()
      if (!reply.ok) throw new Error(`${reply.status} ${text}`)
      return JSON.parse(text) as T
    },
    async tick(atMs) {
      const path = `/cdn-cgi/local/scheduled?cron=*+*+*+*+*&time=${atMs}`
      await (await runtime.dispatchFetch(`http://localhost${path}`)).text()
    },
    async kill() {
      if (pid === null) throw new Error('no workerd is found to kill: Linux only')
      process.kill(pid, 'SIGKILL')
      await runtime.dispose().catch(() => undefined)
    },
    close: () => runtime.dispose(),
  }
}
