/** An agent on a scripted server, fresh for every test, that waits for nothing and remembers what it would wait. */
import { afterEach, beforeEach } from 'vitest'
import type { AgentOptions } from '../../src/simulator/agent-options.ts'
import { SimulatedAgent } from '../../src/simulator/agent.ts'
import type { ScriptedReply, ScriptedServer, SeenRequest } from './scripted-server.ts'
import { BASE, startScriptedServer } from './scripted-server.ts'

/** What tests use; `server` and `waits` are those of the running test. */
export interface AgentFixture {
  readonly server: ScriptedServer
  /** Waits between tries so far, in milliseconds. */
  readonly waits: number[]
  readonly newAgent: (options?: Partial<AgentOptions>) => SimulatedAgent
  readonly enrolledAgent: (options?: Partial<AgentOptions>) => Promise<SimulatedAgent>
  /** Answers every request for a path of the canonical layout with the JSON. */
  readonly reply: (path: string, json: unknown) => void
  /** Answers every request for a path with what is no good answer. */
  readonly misbehave: (path: string, reply: ScriptedReply) => void
  /** Answers the next requests for a path, then as before. */
  readonly once: (path: string, ...replies: ScriptedReply[]) => void
  readonly sent: (path: string) => SeenRequest[]
  readonly lastSent: (path: string) => SeenRequest | undefined
}

/** Starts and stops the server around each test of the file. */
export function useAgentFixture(): AgentFixture {
  const agents: SimulatedAgent[] = []
  let server: ScriptedServer | undefined
  let waits: number[] = []
  const running = () => {
    if (!server) throw new Error('no test is running')
    return server
  }

  beforeEach(async () => {
    server = await startScriptedServer()
    waits = []
  })
  afterEach(async () => {
    for (const agent of agents.splice(0)) agent.close()
    await running().close()
  })

  const newAgent = (options: Partial<AgentOptions> = {}) => {
    const sleep = async (waitMs: number) => {
      waits.push(waitMs)
    }
    const { url } = running()
    const agent = new SimulatedAgent({ url, enrollSecret: 's3cr3t\n', sleep, keptLines: 100, ...options })
    agents.push(agent)
    return agent
  }
  const sent = (path: string) => running().requests(BASE + path)
  return {
    get server() {
      return running()
    },
    get waits() {
      return waits
    },
    newAgent,
    enrolledAgent: async (options) => {
      const agent = newAgent(options)
      await agent.enroll()
      return agent
    },
    reply: (path, json) => running().on.set(BASE + path, () => ({ json })),
    misbehave: (path, reply) => running().on.set(BASE + path, () => reply),
    once: (path, ...replies) => running().next.set(BASE + path, replies),
    sent,
    lastSent: (path) => sent(path).at(-1),
  }
}
