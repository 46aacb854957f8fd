/**
 * Sees every reply that the simulated agents get, and judges it by itself: by the body as osqueryd does, by the status
 * as osqueryd does not. It stands at the one place that all requests go through, the transport, so that fleets need
 * not know of it; one witness for each port, because several fleets may share a process.
 */

import { createHash } from 'node:crypto'
import { gunzipSync } from 'node:zlib'
import '../support/workerd-crypto.ts'
import { readNodeKey, type NodeIdentity } from '../../src/agent/node-key.ts'
import type { SigningKeys } from '../../src/agent/signing-keys.ts'
import { endpointsFor, type EndpointName } from '../../src/simulator/endpoints.ts'
import {
  judgeCarveBlock,
  judgeCarveStart,
  judgeEnroll,
  judgeEnvelope,
  type CarveBlockVerdict,
  type CarveStartVerdict,
  type EnrollVerdict,
  type EnvelopeVerdict,
} from '../../src/simulator/judge.ts'
import { Transport, type NoReply, type Reply } from '../../src/simulator/transport.ts'

type Headers = Readonly<Record<string, string>>
export type AnyVerdict = EnvelopeVerdict | EnrollVerdict | CarveStartVerdict | CarveBlockVerdict

/** One request and what came back. */
export interface Exchange {
  readonly endpoint: EndpointName
  readonly headers: Headers
  readonly body: Uint8Array
  readonly reply: Reply
}

interface Upload {
  readonly blocks: number
  readonly acknowledged: Map<number, Buffer>
}

const ENDPOINTS = new Map(
  Object.entries(endpointsFor('canonical')).map(([name, path]) => [path, name as EndpointName]),
)
const MAX_EXAMPLES = 20
const GOOD_CREDENTIAL = 'a credential that is good'

export class Witness {
  readonly #keys: SigningKeys
  readonly #isRemoved: (nodeId: string) => boolean
  replies = 0
  /** Replies that a real agent would have taken for what they are not, in words; the first ones. */
  readonly wrong: string[] = []
  wrongCount = 0
  /** `node_invalid` to nodes that are none of {@link disown}'s, by node: how often, and where first. */
  readonly #invalid = new Map<string, { count: number; endpoint: string }>()
  readonly #excused = new Set<string>()
  /** Nodes that were handed a key: `<environment>/<ordinal>` to node id. */
  readonly #nodeOf = new Map<string, string>()
  readonly #ordinalOf = new Map<string, string>()
  readonly ordinalConflicts: string[] = []
  readonly #disowned = new Set<string>()
  readonly #pending = new Set<Promise<void>>()
  readonly #uploads = new Map<string, Upload>()
  readonly #nodeOfKey = new Map<string, string>()
  /** When each node was first answered a poll since {@link listenAnew}. */
  readonly heardAtMs = new Map<string, number>()

  /** `isRemoved`: whether an operator deleted this node, so that `node_invalid` is the truth for it. */
  constructor(keys: SigningKeys, isRemoved: (nodeId: string) => boolean = () => false) {
    this.#keys = keys
    this.#isRemoved = isRemoved
  }

  /** `node_invalid` was the truth for this node: several machines were it, and one of them was to enroll anew. */
  excuse(nodeId: string): void {
    this.#excused.add(nodeId)
  }

  /** How often a node was told `node_invalid` that should not have been. */
  get knockedOutCount(): number {
    return this.#knockedOut().reduce((sum, [, { count }]) => sum + count, 0)
  }

  /** The same in words; the first ones. */
  get knockedOut(): string[] {
    return this.#knockedOut()
      .slice(0, MAX_EXAMPLES)
      .map(([whose, { endpoint }]) => `${endpoint}: ${whose}`)
  }

  #knockedOut() {
    return [...this.#invalid].filter(([whose]) => !this.#excused.has(whose))
  }

  /** How many nodes were handed a key. */
  get nodes(): number {
    return this.#ordinalOf.size
  }

  /** Forgets who was heard. */
  listenAnew(): void {
    this.heardAtMs.clear()
  }

  /** From now on `node_invalid` is the truth for whoever comes with this key or secret. */
  disown(credential: string): void {
    this.#disowned.add(credential)
  }

  /** SHA-256 of each carve of which every block was acknowledged. */
  acknowledgedCarves(): string[] {
    return [...this.#uploads.values()]
      .filter(({ acknowledged, blocks }) => acknowledged.size === blocks)
      .map(({ acknowledged, blocks }) => {
        const hash = createHash('sha256')
        for (let block = 0; block < blocks; block += 1) hash.update(acknowledged.get(block) ?? '')
        return hash.digest('hex')
      })
  }

  /** Resolves when everything that was seen is judged. */
  async settled(): Promise<void> {
    await Promise.all(this.#pending)
  }

  note(exchange: Exchange): void {
    const { endpoint, reply } = exchange
    this.replies += 1
    const verdict = judgeReply(endpoint, reply.body)
    const fault = faultOf(endpoint, reply, verdict)
    if (fault !== null) {
      this.wrongCount += 1
      if (this.wrong.length < MAX_EXAMPLES) this.wrong.push(`${endpoint}: ${fault}`)
    }
    if (isNodeInvalid(reply.body)) this.#noteInvalid(exchange)
    if (verdict.kind !== 'ok') return
    if ('nodeKey' in verdict) this.#noteKey(verdict.nodeKey)
    if ('sessionId' in verdict) this.#noteUpload(exchange, verdict.sessionId)
    if (endpoint === 'carveBlock' && reply.status === 200) this.#noteBlock(exchange)
    if (endpoint === 'read') this.#noteHeard(exchange)
  }

  #noteInvalid(exchange: Exchange): void {
    const credential = credentialOf(exchange)
    // A call without a key, which osqueryd makes where enrolling failed, has no node that could be knocked out.
    if (credential === '' || this.#disowned.has(credential)) return
    this.#whenRead(credential, (identity) => {
      if (identity !== null && this.#isRemoved(identity.nodeId)) return
      const whose = identity === null ? GOOD_CREDENTIAL : identity.nodeId
      const count = (this.#invalid.get(whose)?.count ?? 0) + 1
      this.#invalid.set(whose, { count, endpoint: this.#invalid.get(whose)?.endpoint ?? exchange.endpoint })
    })
  }

  #noteKey(nodeKey: string): void {
    this.#whenRead(nodeKey, (identity) => {
      if (identity === null) return
      const { environmentId, nodeId, ordinal } = identity
      const place = `${environmentId}/${ordinal}`
      this.#nodeOfKey.set(nodeKey, nodeId)
      const [holder, before] = [this.#nodeOf.get(place) ?? nodeId, this.#ordinalOf.get(nodeId) ?? place]
      if (holder !== nodeId) this.ordinalConflicts.push(`ordinal ${ordinal}: ${nodeId} after ${holder}`)
      if (before !== place) this.ordinalConflicts.push(`${nodeId}: ordinal ${ordinal} after ${before}`)
      this.#nodeOf.set(place, holder)
      this.#ordinalOf.set(nodeId, before)
    })
  }

  /** Reads what may be a node key, in the background: see {@link settled}. */
  #whenRead(text: string, act: (identity: NodeIdentity | null) => void): void {
    const reading = readNodeKey(this.#keys, text).then((identity) => {
      act(identity.ok ? identity.value : null)
      this.#pending.delete(reading)
    })
    this.#pending.add(reading)
  }

  #noteHeard(exchange: Exchange): void {
    const nodeId = this.#nodeOfKey.get(credentialOf(exchange))
    if (nodeId !== undefined && !this.heardAtMs.has(nodeId)) this.heardAtMs.set(nodeId, Date.now())
  }

  #noteUpload({ body }: Exchange, sessionId: string): void {
    const blocks = Number(memberOf(body, 'block_count'))
    if (!this.#uploads.has(sessionId)) this.#uploads.set(sessionId, { blocks, acknowledged: new Map() })
  }

  #noteBlock({ body }: Exchange): void {
    const upload = this.#uploads.get(String(memberOf(body, 'session_id')))
    const data = Buffer.from(String(memberOf(body, 'data')), 'base64')
    upload?.acknowledged.set(Number(memberOf(body, 'block_id')), data)
  }
}

/** What osqueryd makes of a reply of this endpoint. */
export function judgeReply(endpoint: EndpointName, body: Uint8Array): AnyVerdict {
  if (endpoint === 'enroll') return judgeEnroll(body)
  if (endpoint === 'carveStart') return judgeCarveStart(body)
  return endpoint === 'carveBlock' ? judgeCarveBlock(body) : judgeEnvelope(body)
}

/** Why a reply is wrong whatever was asked (design R1, R2); null: it is not. */
export function faultOf(
  endpoint: EndpointName,
  { body, status }: Pick<Reply, 'body' | 'status'>,
  verdict: AnyVerdict = judgeReply(endpoint, body),
): string | null {
  const said = `status ${status} with ${JSON.stringify(Buffer.from(body.subarray(0, 60)).toString())}`
  if (verdict.kind === 'crash') return `${said} crashes osqueryd`
  if (body.byteLength === 0) return `status ${status} with an empty body is success for osqueryd`
  if (status !== 200 && verdict.kind !== 'failed') return `${said} is an answer for osqueryd`
  if (status === 200 && !isObject(body)) return `${said} is no JSON object`
  return null
}

/** Lets witnesses, by port, see what goes through any transport of this process; gives how to end that. */
export function watch(witnesses: ReadonlyMap<number, Witness>): () => void {
  // Called with its own transport below.
  // oxlint-disable-next-line typescript/unbound-method -- see above
  const { post } = Transport.prototype
  Transport.prototype.post = async function (
    this: Transport,
    url: string,
    headers: Headers,
    body: Uint8Array,
    stop?: AbortSignal,
  ): Promise<Reply | NoReply> {
    const reply = await Reflect.apply(post, this, [url, headers, body, stop])
    const { pathname, port } = new URL(url)
    const endpoint = ENDPOINTS.get(pathname)
    if (endpoint !== undefined && reply.kind === 'reply')
      witnesses.get(Number(port))?.note({ endpoint, headers, body, reply })
    return reply
  }
  return () => {
    Transport.prototype.post = post
  }
}

function isNodeInvalid(body: Uint8Array): boolean {
  return body.byteLength < 200 && judgeEnvelope(body).kind === 'node-invalid'
}

function isObject(body: Uint8Array): boolean {
  try {
    const root: unknown = JSON.parse(Buffer.from(body).toString())
    return typeof root === 'object' && root !== null && !Array.isArray(root)
  } catch {
    return false
  }
}

/** What a request shows to be let in: the header wins (design R9). "" where there is nothing, or nothing readable. */
function credentialOf({ body, endpoint, headers }: Exchange): string {
  if (endpoint === 'enroll') return String(memberOf(body, 'enroll_secret'))
  const header = /^NodeKey (.+)$/.exec(headers['Authorization'] ?? '')?.[1]
  if (header !== undefined) return header
  return String(memberOf(headers['Content-Encoding'] === 'gzip' ? inflated(body) : body, 'node_key'))
}

function memberOf(body: Uint8Array, name: string): unknown {
  try {
    const root: unknown = JSON.parse(Buffer.from(body).toString())
    return (root as Record<string, unknown>)[name] ?? ''
  } catch {
    return ''
  }
}

function inflated(body: Uint8Array): Uint8Array {
  try {
    return gunzipSync(body)
  } catch {
    return new Uint8Array()
  }
}
