/**
 * Everybody at once: all enroll at T0, all are told to enroll anew, all poll in one wave. How long until the fleet is
 * whole, and what others felt meanwhile who were only polling. Agents try again as osqueryd does, but sooner.
 */

import { logBody } from '../log-body.ts'
import { startBenchServer, type BenchServer, ENROLL_SECRET } from '../server.ts'
import type { BenchOptions } from '../options.ts'
import { goal, table, type BenchResult } from '../report.ts'
import { percentile } from '../stats.ts'

/** osqueryd waits 1 s, 4 s, 9 s … between tries (spec 1.3); here a second each, so that the storm is the worse. */
const TRY_AGAIN_AFTER_MS = 1_000
const MAX_TRIES = 120
/** Others who read, fetch their configuration and send a log line once a second each, all the time. */
const BYSTANDERS = 20
export const FELT = ['read', 'config', 'log'] as const

export interface Agent {
  host: string
  nodeKey: string
  tries: number
}

export interface Wave {
  name: string
  seconds: number
  /** Agents that did not get what they came for. */
  lost: number
  /** Of all agents, the last and successful one of each included. */
  tries: number
  agents: number
  /** Requests of the others that were not answered. */
  refusedOthers: number
  /** What each kind of request took the others. */
  feltMs: Record<(typeof FELT)[number], number[]>
}

export async function runStorm({ short }: BenchOptions): Promise<BenchResult> {
  const count = short ? 200 : 2_000
  const server = await startBenchServer('src/index.ts')
  try {
    const storm = new Storm(await server.url(), count)
    const waves = [await storm.wave('all enroll at once', (agent) => storm.enroll(agent))]
    const ordinals = await countNodes(server)
    waves.push(await storm.wave('all poll in one wave', (agent) => storm.poll(agent)))
    await expireKeys(server)
    waves.push(await storm.wave('all are told to enroll anew', (agent) => storm.poll(agent)))
    console.log(
      `${count.toLocaleString('en')} nodes, ${BYSTANDERS} others who read, fetch and log once a second: median / p95 / worst ms\n${waveTable(waves)}`,
    )
    const lost = waves.reduce((all, wave) => all + wave.lost, 0)
    const known = await countNodes(server)
    return {
      bench: 'storm',
      goals: [
        goal('agents left out', lost, '', '<=', 0, true),
        goal(
          'nodes in the inventory too many or too few',
          Math.abs(ordinals - storm.hosts),
          '',
          '<=',
          0,
          true,
        ),
        goal('the same after all enrolled anew', Math.abs(known - storm.hosts), '', '<=', 0, true),
      ],
      details: waves,
    }
  } finally {
    await server.close()
  }
}

export interface StormOptions {
  /** Requests of the storm on their way at once; all unless said. */
  atOnce?: number
  /** How long an agent waits after so many tries. */
  pauseMs?: (tries: number) => number
}

export class Storm {
  readonly #base: URL
  readonly #room: Room
  readonly #pauseMs: (tries: number) => number
  readonly #agents: Agent[]
  readonly #bystanders: Agent[]

  /** Replies that no agent should get: neither an answer nor `retry`. */
  wrong = 0

  constructor(base: URL, count: number, { atOnce, pauseMs }: StormOptions = {}) {
    this.#base = base
    this.#room = new Room(atOnce ?? Number.POSITIVE_INFINITY)
    this.#pauseMs = pauseMs ?? (() => TRY_AGAIN_AFTER_MS * (0.5 + Math.random()))
    this.#agents = Array.from({ length: count }, () => newAgent())
    this.#bystanders = Array.from({ length: BYSTANDERS }, () => newAgent())
  }

  /** What requests of others take while nothing else happens. */
  async quiet(forMs: number): Promise<Wave['feltMs']> {
    const wave = await this.wave('quiet', () => Promise.resolve(true), forMs)
    return wave.feltMs
  }

  get hosts(): number {
    return this.#agents.length + this.#bystanders.length
  }

  /** Lets all of them do something in the same moment, each until it has succeeded. */
  async wave(name: string, act: (agent: Agent) => Promise<boolean>, atLeastMs = 0): Promise<Wave> {
    for (const agent of this.#bystanders)
      if (agent.nodeKey === '') await this.#untilDone(agent, (one) => this.enroll(one))
    for (const agent of this.#agents) agent.tries = 0
    let isOver = false
    let refusedOthers = 0
    const feltMs: Wave['feltMs'] = { read: [], config: [], log: [] }
    const others = this.#bystanders.map(async (agent) => {
      await pause(Math.random() * 1_000)
      while (!isOver) {
        for (const kind of FELT) {
          const startedAtMs = performance.now()
          const isAnswered = await this.feel(agent, kind)
          feltMs[kind].push(performance.now() - startedAtMs)
          if (!isAnswered) refusedOthers += 1
        }
        await pause(1_000)
      }
    })
    // Until all of the others are polling.
    await pause(1_000)
    const startedAtMs = performance.now()
    const done = await Promise.all(this.#agents.map((agent) => this.#untilDone(agent, act)))
    const seconds = (performance.now() - startedAtMs) / 1_000
    await pause(Math.max(0, atLeastMs - seconds * 1_000))
    isOver = true
    await Promise.all(others)
    const tries = this.#agents.reduce((all, agent) => all + agent.tries, 0)
    const lost = done.filter((isDone) => !isDone).length
    return { name, seconds, lost, tries, agents: this.#agents.length, refusedOthers, feltMs }
  }

  async enroll(agent: Agent): Promise<boolean> {
    const host_details = {
      system_info: { hostname: agent.host, uuid: agent.host },
      os_version: { platform: 'ubuntu' },
      osquery_info: { version: '5.23.1', build_platform: 'linux', instance_id: agent.host },
    }
    const { node_key: nodeKey } = await this.#post('enroll', {
      enroll_secret: ENROLL_SECRET,
      host_identifier: agent.host,
      platform_type: '9',
      host_details,
    })
    if (typeof nodeKey === 'string') agent.nodeKey = nodeKey
    return typeof nodeKey === 'string'
  }

  /** A distributed read; who is told to enroll anew does so, as osqueryd does, and reads again the next time. */
  async poll(agent: Agent): Promise<boolean> {
    const reply = await this.#post('distributed/read', { node_key: agent.nodeKey })
    if (reply['node_invalid'] === true) {
      await this.enroll(agent)
      return false
    }
    return reply['retry'] !== true
  }

  /** One request of a node that has nothing to do with the storm; whether it was answered. */
  async feel(agent: Agent, kind: (typeof FELT)[number]): Promise<boolean> {
    if (kind === 'read') return this.poll(agent)
    if (kind === 'config') return (await this.#post('config', { node_key: agent.nodeKey }))['retry'] !== true
    const { bytes } = logBody({ nodeId: agent.host, nodeKey: agent.nodeKey }, 1, { compressed: false })
    return (await this.#post('log', bytes))['retry'] !== true
  }

  async #untilDone(agent: Agent, act: (agent: Agent) => Promise<boolean>): Promise<boolean> {
    for (let i = 0; i < MAX_TRIES; i += 1) {
      agent.tries += 1
      if (await this.#room.run(() => act(agent))) return true
      await pause(this.#pauseMs(agent.tries))
    }
    return false
  }

  async #post(path: string, body: object | Uint8Array<ArrayBuffer>): Promise<Record<string, unknown>> {
    const url = new URL(`/api/osquery/${path}`, this.#base)
    const sent = body instanceof Uint8Array ? body : JSON.stringify(body)
    const text = await fetch(url, { method: 'POST', body: sent }).then(
      (reply) => reply.text(),
      () => 'retry',
    )
    if (text === 'retry') return { retry: true }
    try {
      return JSON.parse(text) as Record<string, unknown>
    } catch {
      this.wrong += 1
      return { retry: true }
    }
  }
}

/** So many at once; the others wait for their turn. */
class Room {
  #left: number
  readonly #waiting: (() => void)[] = []

  constructor(places: number) {
    this.#left = places
  }

  async run<T>(work: () => Promise<T>): Promise<T> {
    if (this.#left > 0) this.#left -= 1
    else await new Promise<void>((resolve) => this.#waiting.push(resolve))
    try {
      return await work()
    } finally {
      const next = this.#waiting.shift()
      if (next === undefined) this.#left += 1
      else next()
    }
  }
}

function newAgent(): Agent {
  return { host: crypto.randomUUID(), nodeKey: '', tries: 0 }
}

export async function countNodes({ env }: BenchServer): Promise<number> {
  const row = await env.DB.prepare('SELECT COUNT(DISTINCT ordinal) AS count FROM nodes').first<{
    count: number
  }>()
  return row?.count ?? 0
}

/** Revokes every key of the environment that was issued up to now. */
async function expireKeys({ env, environmentId }: BenchServer): Promise<void> {
  const nextS = Math.floor(Date.now() / 1_000) + 1
  const raised = await env.DB.prepare(
    'UPDATE environments SET minimum_issued_at_s = ?2, revision = revision + 1 WHERE id = ?1 RETURNING revision',
  )
    .bind(environmentId, nextS)
    .first<{ revision: number }>()
  await env.ENVIRONMENT.getByName(environmentId).refresh(raised?.revision ?? 0, true)
  // Keys are issued to the second: those of the next one are new.
  await pause(2_000)
}

function waveTable(waves: readonly Wave[]): string {
  const felt = (samples: readonly number[]) =>
    [0.5, 0.95, 1].map((share) => percentile(samples, share).toFixed(0)).join(' / ')
  return table(
    ['wave', 'whole after', 'tries a node', ...FELT.map((kind) => `others' ${kind}`), 'of each'],
    waves.map(({ name, seconds, tries, agents, feltMs }) => [
      name,
      `${seconds.toFixed(1)} s`,
      (tries / agents).toFixed(2),
      ...FELT.map((kind) => felt(feltMs[kind])),
      String(feltMs.read.length),
    ]),
  )
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms))
}
