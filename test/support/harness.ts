/**
 * The whole Worker on real workerd, D1, Durable Objects, Queues and R2, for tests that speak HTTP to it.
 */

import { createTestHarness, type TestHarness, type WorkerHandle } from 'wrangler'
import { MARKER_HEADER } from '../../src/agent/reply.ts'
import { NO_BUILT_IN, type BuiltInSettings } from '../../src/config/built-in.ts'
import { seedFirstEnvironment } from '../../src/db/seed.ts'
import { configWithEntry, configWithQueueWait, ROOT } from './derived-config.ts'
import { applyMigrations } from './migrations.ts'
import { prebuiltWorker } from './prebuilt.ts'

export const SIGNING_KEYS = JSON.stringify({
  current: 'k1',
  keys: { k1: btoa('a test key of thirty-two bytes!!') },
})
export const ENROLL_SECRET = 's3cr3t-2026-for-tests'
export const OPERATOR_TOKEN = 'oeo_a-token-for-tests-only'
export const STARTER_CONFIGURATION =
  '{"options":{"distributed_interval":10},"schedule":{"uptime":{"query":"SELECT * FROM uptime","interval":60}}}'

/** How long queues wait for a full batch, instead of the seconds that make batches large. */
const QUEUE_WAIT_S = 0.2
/** Between two looks of `until`. */
/** Of one request of an agent, while its connection breaks. */
const MAX_SENT = 3
const FIRST_PAUSE_MS = 10
const LONGEST_PAUSE_MS = 150

export interface TestServer {
  harness: TestHarness
  worker: WorkerHandle<Env>
  env: Env
  /**
   * POSTs a body to a path as an agent does; the body may be an object (sent as JSON), text or bytes. Where the connection
   * broke off the status is 0 and the text empty: an agent comes again then, as it does for `retry`.
   */
  agent(path: string, body: unknown, headers?: Record<string, string>): Promise<Reply>
  /** Calls the admin route under /api/v1 as an operator. */
  operator(method: string, path: string, body?: unknown): Promise<Reply>
  /** Enrolls a host and returns its node key. */
  enroll(hostIdentifier: string, details?: Record<string, Record<string, string>>): Promise<string>
  /** Waits until `probe` returns something truthy, at most `withinMs`. */
  until<T>(probe: () => Promise<T>, withinMs?: number): Promise<NonNullable<T>>
  /** Throws an object out of memory, if it is there at all; waits for who still holds it. */
  evict(binding: ObjectBinding, object: ObjectName): Promise<void>
  close(): Promise<void>
}

type EvictArguments = Parameters<WorkerHandle<Env>['evictDurableObject']>
type ObjectBinding = EvictArguments[0]
type ObjectName = EvictArguments[1]

export interface Reply {
  status: number
  text: string
  headers: Headers
  /** The body parsed. Throws where it is not JSON. */
  json<T = Record<string, unknown>>(): T
}

export interface ServerOptions {
  /** The Worker's main file, from the root. Default: the product's. */
  entry?: string
  vars?: Record<string, string>
  secrets?: Record<string, string>
  /** Puts the guard before the app: requests then go through it. */
  guarded?: boolean
  /** What the server schedules by itself in `default`. Nothing, so that documents are what a test wrote. */
  builtIn?: BuiltInSettings
}

/** Starts one server with its environment `default` seeded. Close it in afterAll. */
export async function startServer(options: ServerOptions = {}): Promise<TestServer> {
  const { entry = 'src/index.ts' } = options
  const configPath = configWithQueueWait(configWithEntry(entry), QUEUE_WAIT_S)
  const harness = createTestHarness({
    root: ROOT,
    workers: [
      ...(options.guarded === true ? [{ configPath: './src/guard/wrangler.toml' }] : []),
      {
        configPath,
        prebuiltWorkerDir: prebuiltWorker(configPath, entry),
        secrets: { SIGNING_KEYS, ...options.secrets },
        ...(options.vars === undefined ? {} : { vars: options.vars }),
      },
    ],
  })
  await harness.listen()
  const worker = harness.getWorker<Env>('osquery-edge')
  const env = await worker.getEnv()
  await applyMigrations(env.DB)
  await seedFirstEnvironment(env.DB, {
    environmentName: 'default',
    enrollSecret: ENROLL_SECRET,
    operatorToken: OPERATOR_TOKEN,
    configurationText: STARTER_CONFIGURATION,
    builtIn: options.builtIn ?? NO_BUILT_IN,
  })

  async function call(
    method: string,
    path: string,
    body: unknown,
    headers: Record<string, string>,
  ): Promise<Reply> {
    const sent = body === undefined ? null : isRaw(body) ? body : JSON.stringify(body)
    const response = await harness.fetch(path, {
      method,
      headers,
      body: sent as string | null,
      redirect: 'manual',
    })
    const text = await response.text()
    return {
      status: response.status,
      text,
      headers: response.headers as unknown as Headers,
      json: <T>() => JSON.parse(text) as T,
    }
  }

  const server: TestServer = {
    harness,
    worker,
    env,
    async agent(path, body, headers = {}) {
      // A reply to a body that nobody reads to its end may be lost with the connection: osqueryd then sends it again at
      // once (spec 1.3), and so do these.
      for (let sent = 1; sent <= MAX_SENT; sent += 1) {
        try {
          const reply = await call('POST', path, body, {
            'content-type': 'application/json',
            accept: 'application/json',
            ...headers,
          })
          if (!isLostByProxy(reply)) return reply
        } catch (error) {
          if (!(error instanceof TypeError)) throw error
        }
      }
      return brokenOff()
    },
    operator: (method, path, body) =>
      call(method, `/api/v1${path}`, body, {
        authorization: `Bearer ${OPERATOR_TOKEN}`,
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      }),
    async enroll(hostIdentifier, details) {
      const host_details = details ?? {
        system_info: { hostname: hostIdentifier, uuid: crypto.randomUUID() },
        os_version: { platform: 'ubuntu' },
        osquery_info: { version: '5.23.1', build_platform: 'linux', instance_id: crypto.randomUUID() },
      }
      const reply = await server.agent('/api/osquery/enroll', {
        enroll_secret: ENROLL_SECRET,
        host_identifier: hostIdentifier,
        platform_type: '9',
        host_details,
      })
      const { node_key: nodeKey } = reply.json<{ node_key?: string }>()
      if (typeof nodeKey !== 'string') throw new Error(`enroll answered ${reply.status} ${reply.text}`)
      return nodeKey
    },
    async until<T>(probe: () => Promise<T>, withinMs = 60_000) {
      const endsAt = Date.now() + withinMs
      let pauseMs = FIRST_PAUSE_MS
      for (;;) {
        const found = await probe()
        if (found) return found
        if (Date.now() > endsAt) throw new Error(`nothing within ${withinMs} ms`)
        await new Promise((resolve) => setTimeout(resolve, pauseMs))
        pauseMs = Math.min(2 * pauseMs, LONGEST_PAUSE_MS)
      }
    },
    async evict(binding, object) {
      await server.until(() =>
        worker.evictDurableObject(binding, object).then(
          () => true,
          (error: unknown) => {
            if (String(error).includes('not currently running')) return true
            if (String(error).includes('still has active references')) return false
            throw error
          },
        ),
      )
    },
    close: () => harness.close(),
  }
  return server
}

/** A server that answers before it has read a large body closes the connection, and the answer may be lost with it. */
/** What the development proxy says where its own connection to the Worker broke off like that: no Worker says it. */
function isLostByProxy({ headers, text }: Reply): boolean {
  return headers.get(MARKER_HEADER) === null && text.startsWith('Error: Network connection lost.')
}

function brokenOff(): Reply {
  return {
    status: 0,
    text: '',
    headers: new Headers(),
    json: () => {
      throw new Error('the connection broke off')
    },
  }
}

function isRaw(body: unknown): boolean {
  return typeof body === 'string' || body instanceof Uint8Array
}
