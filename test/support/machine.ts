/** Machines that enroll, poll and log as osqueryd does, for tests of what becomes of those that share a node. */

import './workerd-crypto.ts'
import { readNodeKey } from '../../src/agent/node-key.ts'
import { loadSigningKeys } from '../../src/agent/signing-keys.ts'
import { SIGNING_KEYS, type TestServer } from './harness.ts'
import { created } from './operator.ts'

const NODE_INVALID = '{"node_invalid":true}'

/** What a machine says of itself when it enrolls. */
export interface Shape {
  uuid: string
  instance: string
  host?: string
}

/** What osqueryd does with its key: enrolls without one, forgets it when it is told so, and sends again what failed. */
export class Machine {
  key: string | null = null
  enrolls = 0
  invalid = 0
  readonly lines: string[] = []
  #unsent: string[] = []
  readonly #server: TestServer
  readonly #secret: string
  readonly #shape: Shape

  constructor(server: TestServer, secret: string, shape: Shape) {
    this.#server = server
    this.#secret = secret
    this.#shape = shape
  }

  get host(): string {
    return this.#shape.host ?? 'box'
  }

  async enroll(): Promise<void> {
    const { uuid, instance } = this.#shape
    const reply = await this.#server.agent('/api/osquery/enroll', {
      enroll_secret: this.#secret,
      host_identifier: this.host,
      platform_type: '9',
      host_details: {
        system_info: { hostname: this.host, uuid },
        osquery_info: { version: '5.23.1', instance_id: instance },
      },
    })
    const { node_key: key } = reply.json<{ node_key?: string }>()
    if (key === undefined) throw new Error(reply.text)
    this.key = key
    this.enrolls += 1
  }

  /** One request; enrolls first where there is no key, and after it where that is not valid. */
  async ask(path: string, body: object): Promise<string> {
    if (this.key === null) await this.enroll()
    const reply = await this.#server.agent(`/api/osquery/${path}`, { node_key: this.key, ...body })
    if (reply.text === NODE_INVALID) {
      this.key = null
      this.invalid += 1
      await this.enroll()
    }
    return reply.text
  }

  /** A config poll, a read and a log POST. */
  async poll(): Promise<void> {
    await this.ask('config', {})
    await this.ask('distributed/read', {})
    const line = `${this.#shape.instance}-${this.host}-${this.lines.length}`
    this.lines.push(line)
    this.#unsent.push(line)
    const data = this.#unsent.map((name) => ({
      name,
      hostIdentifier: this.host,
      action: 'added',
      columns: {},
    }))
    const reply = await this.ask('log', { log_type: 'result', data })
    if (reply === '{}') this.#unsent = []
  }

  async ordinal(): Promise<number> {
    const identity = await readNodeKey(await loadSigningKeys(SIGNING_KEYS), this.key ?? '')
    if (!identity.ok) throw new Error(identity.reason)
    return identity.value.ordinal
  }
}

/** The names of all archived lines of an environment. */
export async function linesOf(server: TestServer, name: string): Promise<Set<string>> {
  const seen = new Set<string>()
  let cursor = ''
  do {
    const reply = await server.operator('GET', `/environments/${name}/logs?limit=1000${cursor}`)
    const page = created<{ items: { name: string }[]; nextCursor: string | null }>(reply, 200)
    for (const item of page.items) seen.add(item.name)
    cursor = page.nextCursor === null ? '' : `&cursor=${page.nextCursor}`
  } while (cursor !== '')
  return seen
}
