/**
 * The Worker on bare workerd, in the hands of somebody who wants to break it: killed, started again on the same storage,
 * with the Worker and its objects of different versions. Two Workers share one deployment: `front` answers requests,
 * messages and the cron trigger, `objects` holds the Durable Objects; each is an isolate of its own.
 */

import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import process from 'node:process'
import { findFreePort } from '../../src/cli/walk/free-port.ts'
import { seedFirstEnvironment } from '../../src/db/seed.ts'
import { findWorkerd, useOf } from '../bench/workerd-process.ts'
import { applyMigrations } from '../support/migrations.ts'
import type { Bundle } from './bundle.ts'
import { NO_CHAOS, type ChaosState } from './worker/fault.ts'

const CONTROL_WITHIN_MS = 10_000
const PORT_POLL_MS = 25
const START_WITHIN_MS = 60_000
/** The objects' storage goes by this name, so it is the same whichever version holds them. */
const OBJECTS = 'osquery-edge'
const FRONT = 'osquery-edge-front'

export const SIGNING_KEYS = JSON.stringify({
  current: 'k1',
  keys: { k1: btoa('a chaos key of thirty-two bytes!') },
})
export const OPERATOR_TOKEN = 'oeo_a-token-for-chaos'

export type VersionName = 'old' | 'new'

/** Which version answers requests, and which holds the objects. */
export interface Arrangement {
  readonly front: VersionName
  readonly objects: VersionName
}

export interface RuntimeOptions {
  readonly bundles: Readonly<Record<VersionName, Bundle>>
  /** Where data lies. */
  readonly folder: string
  /** How many ports lead to the Worker. */
  readonly ports: number
}

/** The part of Miniflare that is used. It is wrangler's dependency, not ours, so it is found through wrangler. */
interface MiniflareModule {
  Miniflare: new (options: unknown) => Miniflare
  convertV4MiniflareOptions: (options: unknown) => unknown
}
interface Miniflare {
  ready: Promise<URL>
  setOptions(options: unknown): Promise<void>
  getBindings(worker: string): Promise<unknown>
  dispatchFetch(url: string): Promise<{ status: number; text(): Promise<string> }>
  dispose(): Promise<void>
  getInspectorURL(): Promise<URL>
}

const wranglerPath = createRequire(import.meta.url).resolve('wrangler')
const { Miniflare, convertV4MiniflareOptions } = createRequire(wranglerPath)('miniflare') as MiniflareModule

export class Runtime {
  /** Base URLs of the Worker; the same after each start. */
  readonly urls: readonly string[]
  readonly #options: RuntimeOptions
  readonly #ports: readonly number[]
  readonly #controlPort: number
  #miniflare: Miniflare | undefined
  #state: ChaosState = NO_CHAOS
  #starts = 0

  /** Builds nothing, starts nothing: see {@link start}. */
  static async make(options: RuntimeOptions): Promise<Runtime> {
    const ports = new Set<number>()
    while (ports.size <= options.ports) ports.add(await findFreePort())
    const [controlPort = 0, ...others] = ports
    return new Runtime(options, others, controlPort)
  }

  private constructor(options: RuntimeOptions, ports: readonly number[], controlPort: number) {
    this.#options = options
    this.#ports = ports
    this.#controlPort = controlPort
    this.urls = ports.map((port) => `http://127.0.0.1:${port}`)
  }

  /** The port of a base URL. */
  get ports(): readonly number[] {
    return this.#ports
  }

  /** Starts workerd, or ends the one that runs by SIGKILL and starts another on the same storage. */
  async start(arrangement: Arrangement): Promise<void> {
    this.#starts += 1
    const options = convertV4MiniflareOptions(this.#miniflareOptions(arrangement))
    if (this.#miniflare === undefined) this.#miniflare = new Miniflare(options)
    else await this.#miniflare.setOptions(options)
    await this.#miniflare.ready
    await this.#untilHealthy()
  }

  /** The database with migrations, an operator's token and nothing else. */
  async prepare(): Promise<void> {
    if (this.#miniflare === undefined) throw new Error('not started')
    const { DB } = (await this.#miniflare.getBindings(FRONT)) as Env
    await applyMigrations(DB)
    await seedFirstEnvironment(DB, {
      environmentName: 'default',
      enrollSecret: 'nobody-enrolls-with-this-one',
      operatorToken: OPERATOR_TOKEN,
      configurationText: '{}',
    })
  }

  /** SIGKILL. The port is closed until the next {@link start}. */
  kill(): void {
    const pid = findWorkerd()
    if (pid !== null) process.kill(pid, 'SIGKILL')
  }

  /** Tells both isolates what to break from now on; gives how often each fault struck since the last call. */
  async set(state: ChaosState): Promise<Record<string, number>> {
    this.#state = state
    const told = await Promise.all([this.#ports[0] ?? 0, this.#controlPort].map((port) => tell(port, state)))
    const sum: Record<string, number> = {}
    for (const [name, times] of told.flatMap((struck) => Object.entries(struck)))
      sum[name] = (sum[name] ?? 0) + times
    return sum
  }

  /** What the next start begins with. */
  remember(state: ChaosState): void {
    this.#state = state
  }

  /** One tick of the cron trigger; the Worker is told that it is `atMs`. */
  async tick(atMs: number): Promise<void> {
    const url = `http://localhost/cdn-cgi/local/scheduled?cron=*+*+*+*+*&time=${atMs}`
    if (this.#miniflare === undefined) throw new Error('not started')
    const reply = await this.#miniflare.dispatchFetch(url)
    const text = await reply.text()
    if (reply.status !== 200) throw new Error(`the cron trigger answered ${reply.status}: ${text}`)
  }

  /** Bodies of an environment that were acknowledged and are not in the archive yet; at most 1,000 are counted. */
  async waitingBodies(environmentId: string): Promise<number> {
    if (this.#miniflare === undefined) throw new Error('not started')
    const { ARCHIVE } = (await this.#miniflare.getBindings(FRONT)) as Env
    return (await ARCHIVE.list({ prefix: `inbox/${environmentId}/` })).objects.length
  }

  /** Where the inspector finds the isolates of Worker and objects. */
  async inspectors(): Promise<URL[]> {
    if (this.#miniflare === undefined) throw new Error('not started')
    const base = await this.#miniflare.getInspectorURL()
    return [FRONT, OBJECTS].map((name) => new URL(`/core:user:${name}`, base))
  }

  /** Resident memory of workerd; null where that cannot be told. */
  residentBytes(): number | null {
    return useOf(findWorkerd())?.residentBytes ?? null
  }

  async stop(): Promise<void> {
    await this.#miniflare?.dispose()
  }

  #miniflareOptions({ front, objects }: Arrangement): unknown {
    const { bundles, folder } = this.#options
    const socket = (port: number) => ({ host: '127.0.0.1', port, entrypoint: 'default' })
    const elsewhere = Object.entries(bundles[front].options.durableObjects).map(([binding, object]) => [
      binding,
      { ...object, scriptName: OBJECTS },
    ])
    return {
      host: '127.0.0.1',
      port: 0,
      resourcePersistencePath: join(folder, 'data'),
      // For the cron trigger.
      unsafeTriggerHandlers: true,
      // For memory.ts.
      inspectorPort: 0,
      // What a Worker logs while it is broken on purpose is no part of the report.
      handleStructuredLogs: () => undefined,
      workers: [
        {
          ...this.#worker(FRONT, bundles[front]),
          durableObjects: Object.fromEntries(elsewhere) as unknown,
          unsafeDirectSockets: this.#ports.map(socket),
        },
        {
          ...this.#worker(OBJECTS, bundles[objects]),
          queueConsumers: {},
          unsafeDirectSockets: [socket(this.#controlPort)],
        },
      ],
    }
  }

  #worker(name: string, { module, options }: Bundle): Record<string, unknown> {
    const classes = Object.entries(options.durableObjects).map(([binding, { className }]) => [
      binding,
      className,
    ])
    return {
      ...options,
      name,
      bindings: {
        ...options.bindings,
        SIGNING_KEYS,
        CHAOS_CLASSES: Object.fromEntries(classes) as unknown,
        CHAOS_STATE: this.#state,
        // So that options are never the same as before, which would be no reason to start anew.
        CHAOS_START: this.#starts,
      },
      modulesRoot: dirname(module),
      modules: [{ type: 'ESModule', path: module }],
    }
  }

  async #untilHealthy(): Promise<void> {
    const deadlineMs = Date.now() + START_WITHIN_MS
    for (;;) {
      const status = await fetch(`${this.urls[0]}/health`).then(
        (reply) => reply.status,
        () => 0,
      )
      if (status === 200) return
      if (Date.now() > deadlineMs) throw new Error('workerd does not start')
      await new Promise((resolve) => setTimeout(resolve, PORT_POLL_MS))
    }
  }
}

async function tell(port: number, state: ChaosState): Promise<Record<string, number>> {
  const reply = await fetch(`http://127.0.0.1:${port}/chaos/state`, {
    method: 'POST',
    body: JSON.stringify(state),
    signal: AbortSignal.timeout(CONTROL_WITHIN_MS),
  })
  return (await reply.json()) as Record<string, number>
}
