/**
 * A Worker on bare workerd for measuring: bundled by wrangler and described by the product's wrangler.toml, with
 * another entry, a socket of its own for each entrypoint, and empty data that goes with the process.
 */

import { mkdtempSync, rmSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { unstable_getMiniflareWorkerOptions, unstable_readConfig } from 'wrangler'
import { runWrangler } from '../../src/cli/wrangler.ts'
import { NO_BUILT_IN } from '../../src/config/built-in.ts'
import { seedFirstEnvironment } from '../../src/db/seed.ts'
import { configWithEntry } from '../support/derived-config.ts'
import { applyMigrations } from '../support/migrations.ts'
import { findWorkerd } from './workerd-process.ts'

export const SIGNING_KEYS = JSON.stringify({
  current: 'k1',
  keys: { k1: btoa('a bench key of thirty-two bytes!') },
})
export const ENROLL_SECRET = 'a-secret-for-benchmarks'
export const OPERATOR_TOKEN = 'oeo_a-token-for-benchmarks'
/** About what a fleet has: options, thirty scheduled queries, decorators. 5 KiB. */
export const CONFIGURATION = JSON.stringify({
  options: { distributed_interval: 60, logger_tls_period: 300, config_refresh: 300 },
  schedule: Object.fromEntries(
    Array.from({ length: 30 }, (_, i) => [
      `pack_inventory_query_${i}`,
      { query: `SELECT pid, name, path, cmdline FROM processes WHERE pid % 30 = ${i};`, interval: 600 + i },
    ]),
  ),
  decorators: { load: ['SELECT uuid AS host_uuid FROM system_info;', 'SELECT hostname FROM system_info;'] },
})

export interface BenchServer {
  /** Bindings as the Worker has them, for preparing and looking. */
  readonly env: Env
  environmentId: string
  readonly workerdPid: number | null
  /** The base URL of an entrypoint's own socket. */
  url(entrypoint?: string): Promise<URL>
  /** Runs the cron trigger once; the Worker is told that it is `atMs`. */
  tick(atMs?: number): Promise<void>
  /** Ends workerd by SIGKILL and starts another on the same data; URLs and `env` are to be asked for anew. */
  restart(): Promise<void>
  close(): Promise<void>
}

/** The part of Miniflare that is used. It is wrangler's dependency, not ours, so it is found through wrangler. */
interface MiniflareModule {
  Miniflare: new (options: unknown) => {
    ready: Promise<URL>
    setOptions(options: unknown): Promise<void>
    getBindings(): Promise<unknown>
    unsafeGetDirectURL(worker?: string, entrypoint?: string): Promise<URL>
    dispatchFetch(url: string): Promise<{ text(): Promise<string> }>
    dispose(): Promise<void>
  }
  convertV4MiniflareOptions: (options: unknown) => unknown
}

const wranglerPath = createRequire(import.meta.url).resolve('wrangler')
const { Miniflare, convertV4MiniflareOptions } = createRequire(wranglerPath)('miniflare') as MiniflareModule

export interface BenchServerOptions {
  /** How long queues wait for a full batch, and until one that failed comes again; else as wrangler.toml says. */
  queueWaitS?: number
}

/** Builds and starts `entry` (from the root). Each entrypoint gets a socket; `default` always has one. */
export async function startBenchServer(
  entry: string,
  entrypoints: readonly string[] = [],
  { queueWaitS }: BenchServerOptions = {},
): Promise<BenchServer> {
  const folder = mkdtempSync(join(tmpdir(), 'osquery-edge-bench-'))
  const configPath = configWithEntry(entry)
  const built = runWrangler(['deploy', '--dry-run', '--config', configPath, '--outdir', folder], 'collect')
  if (!built.ok) throw new Error(built.output)
  const config = unstable_readConfig({ config: configPath }, { hideWarnings: true })
  // So that wrangler does not warn of it; what is used stands below.
  process.env.SIGNING_KEYS = SIGNING_KEYS
  process.env.WRANGLER_LOG = 'warn'
  const { workerOptions } = unstable_getMiniflareWorkerOptions(config)
  const optionsOf = (start: number) =>
    convertV4MiniflareOptions({
      host: '127.0.0.1',
      port: 0,
      resourcePersistencePath: join(folder, 'data'),
      // For the cron trigger.
      unsafeTriggerHandlers: true,
      // What the Worker logs of refused requests is no part of a table.
      handleStructuredLogs: showErrors,
      workers: [
        {
          name: config.name,
          ...workerOptions,
          queueConsumers: consumersWaiting(workerOptions.queueConsumers, queueWaitS),
          // Options that are the same as before would be no reason to start anew.
          bindings: { ...(workerOptions.bindings as object), SIGNING_KEYS, BENCH_START: start },
          modulesRoot: folder,
          modules: [{ type: 'ESModule', path: join(folder, `${basename(entry, '.ts')}.js`) }],
          unsafeDirectSockets: ['default', ...entrypoints].map((entrypoint) => ({
            host: '127.0.0.1',
            port: 0,
            entrypoint,
          })),
        },
      ],
    })
  let starts = 1
  const runtime = new Miniflare(optionsOf(starts))
  await runtime.ready
  let env = (await runtime.getBindings()) as Env
  await applyMigrations(env.DB)
  await seedFirstEnvironment(env.DB, {
    environmentName: 'default',
    enrollSecret: ENROLL_SECRET,
    operatorToken: OPERATOR_TOKEN,
    configurationText: CONFIGURATION,
    builtIn: NO_BUILT_IN,
  })
  const row = await env.DB.prepare('SELECT id FROM environments').first<{ id: string }>()
  let workerdPid = findWorkerd()
  return {
    get env() {
      return env
    },
    environmentId: row?.id ?? '',
    get workerdPid() {
      return workerdPid
    },
    url: (entrypoint) => runtime.unsafeGetDirectURL(config.name, entrypoint),
    async tick(atMs = Date.now()) {
      const path = `/cdn-cgi/local/scheduled?cron=*+*+*+*+*&time=${atMs}`
      await (await runtime.dispatchFetch(`http://localhost${path}`)).text()
    },
    async restart() {
      if (workerdPid === null) throw new Error('no workerd is found to kill: Linux only')
      process.kill(workerdPid, 'SIGKILL')
      starts += 1
      await runtime.setOptions(optionsOf(starts))
      await runtime.ready
      env = (await runtime.getBindings()) as Env
      workerdPid = findWorkerd()
    },
    async close() {
      await runtime.dispose()
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

function consumersWaiting(consumers: unknown, waitS: number | undefined): unknown {
  if (waitS === undefined) return consumers
  return Object.fromEntries(
    Object.entries(consumers as Record<string, { maxBatchTimeout?: number; retryDelay?: number }>).map(
      ([queue, consumer]) => [
        queue,
        {
          ...consumer,
          maxBatchTimeout: Math.min(waitS, consumer.maxBatchTimeout ?? waitS),
          retryDelay: Math.min(waitS, consumer.retryDelay ?? waitS),
        },
      ],
    ),
  )
}

function showErrors({ level, message }: { level: string; message: string }): void {
  if (level === 'error') console.error(message)
}
