import { randomInt, randomUUID } from 'node:crypto'
import type { AgentOptions, AgentState } from './agent-options.ts'
import type { SimulatedHost } from './host.ts'
import { createHost } from './host.ts'

/** Who an agent is for the rest of its process. */
export interface Identity {
  readonly host: SimulatedHost
  readonly instanceId: string
  readonly pid: number
  /** What `host_identifier` and `hostIdentifier` say. */
  readonly hostIdentifier: string
}

/** The state of an agent that never ran: no key, a random instance id as in osqueryd. */
export function newState(): AgentState {
  return {
    format: 1,
    uuid: '',
    instanceId: randomUUID(),
    nodeKey: '',
    lines: [],
    remembered: {},
    queue: {},
    accelerateUntilMs: 0,
    carves: [],
  }
}

/** Identity from options and state. A remembered hardware UUID wins over the seed's. */
export function createIdentity(options: AgentOptions, state: AgentState): Identity {
  const seeded = createHost(options.platform ?? 'linux', options.seed ?? '1')
  const host = state.uuid === '' ? seeded : { ...seeded, uuid: state.uuid }
  return {
    host,
    instanceId: state.instanceId,
    pid: options.pid ?? randomInt(1_000, 32_768),
    hostIdentifier: identifierOf(options, host, state.instanceId),
  }
}

function identifierOf(options: AgentOptions, host: SimulatedHost, instanceId: string): string {
  switch (options.hostIdentifier ?? 'uuid') {
    case 'hostname':
      return host.hostname
    case 'uuid':
      return host.uuid
    case 'instance':
      return instanceId
    case 'ephemeral':
      return randomUUID()
    case 'specified':
      return options.specifiedIdentifier || host.hostname
  }
}
