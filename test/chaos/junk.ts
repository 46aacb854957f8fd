/**
 * A stranger who sends junk, in an environment of his own: with keys that are none, bodies that are none, and ids that
 * are somebody else's. Every reply is judged as osqueryd would, by the witness as all others are, and here by what may
 * be said to that piece at all.
 */

import { gzipSync } from 'node:zlib'
import { makeNodeKey, readNodeKey } from '../../src/agent/node-key.ts'
import { makeQueryId } from '../../src/agent/query-id.ts'
import { loadSigningKeys, type SigningKeys } from '../../src/agent/signing-keys.ts'
import { endpointsFor, type EndpointName } from '../../src/simulator/endpoints.ts'
import { Dice } from '../../src/simulator/fleet/dice.ts'
import type { FleetEnvironment } from '../../src/simulator/fleet/environment.ts'
import type { OperatorClient } from '../../src/simulator/fleet/operator-client.ts'
import { Transport } from '../../src/simulator/transport.ts'
import type { JunkName } from './junk-names.ts'
import {
  flipped,
  keyHeader,
  makeBomb,
  other,
  withKey,
  type Body,
  type Kind,
  type Piece,
} from './junk-pieces.ts'
import { judgeReply, type AnyVerdict, type Witness } from './witness.ts'

export interface StrangerOptions {
  readonly url: string
  readonly seed: string
  readonly environment: FleetEnvironment
  /** Whose ids are foreign. */
  readonly otherEnvironmentId: string
  readonly client: OperatorClient
  readonly witness: Witness
  readonly keys: SigningKeys
}

const HUGE_BYTES = 100 * 1_024 * 1_024
const DEEP = 100_000
const TIMEOUT_MS = 16_000
const CALLS: readonly EndpointName[] = ['config', 'log', 'read', 'write']
const ANSWER_OR_RETRY: readonly Kind[] = ['ok', 'failed']
const REFUSED: readonly Kind[] = ['node-invalid', 'failed']
const PATHS = endpointsFor('canonical')

export class Stranger {
  readonly #options: StrangerOptions
  readonly #dice: Dice
  readonly #transport = new Transport({
    timeoutMs: TIMEOUT_MS,
    keepAlive: false,
    // It would be osqueryd's; here each piece comes once.
    transparentResend: false,
  })
  #hosts = 0
  #key = ''
  #bomb: Promise<Buffer> | undefined
  #huge: Buffer | undefined
  sent = 0
  readonly bySort = new Map<JunkName, number>()
  /** Replies that this piece must not get, in words. */
  readonly mistaken: string[] = []

  constructor(options: StrangerOptions) {
    this.#options = options
    this.#dice = new Dice(`stranger ${options.seed}`)
  }

  /** Enrolls the node whose key is good. Throws where that does not work. */
  async settle(): Promise<void> {
    this.#key = (await this.enroll()) ?? ''
    if (this.#key === '') throw new Error('the stranger cannot enroll')
  }

  /** Enrolls a host that nobody knows; its key, or undefined where there was none to be had. */
  async enroll(host = this.#newHost()): Promise<string | undefined> {
    const body = JSON.stringify({
      enroll_secret: this.#options.environment.enrollSecret,
      host_identifier: host,
      platform_type: '9',
      host_details: { system_info: { uuid: host, hostname: `stranger-${host.slice(0, 8)}` } },
    })
    const verdict = await this.#send('new-node', { endpoint: 'enroll', body, mayBe: ANSWER_OR_RETRY })
    return verdict !== undefined && 'nodeKey' in verdict ? verdict.nodeKey : undefined
  }

  /** Reads once with this key. */
  read(key: string): Promise<AnyVerdict | undefined> {
    return this.#send('new-node', withKey('read', key, ANSWER_OR_RETRY))
  }

  /** Sends one piece, or the few that belong together. */
  async send(name: JunkName): Promise<void> {
    this.sent += 1
    this.bySort.set(name, (this.bySort.get(name) ?? 0) + 1)
    if (name === 'deleted-node') return this.#deleteOne()
    if (name === 'new-node') {
      const key = await this.enroll()
      if (key !== undefined) await this.read(key)
      return
    }
    for (const piece of await this.#pieces(name)) await this.#send(name, piece)
  }

  close(): void {
    this.#transport.close()
  }

  async #send(name: JunkName, piece: Piece): Promise<AnyVerdict | undefined> {
    const { endpoint, headers, mayBe } = piece
    const body = typeof piece.body === 'string' ? Buffer.from(piece.body) : piece.body
    const url = this.#options.url + PATHS[endpoint]
    const common = { 'Content-Type': 'application/json', 'User-Agent': 'osquery/5.23.1' }
    const reply = await this.#transport.post(url, { ...common, ...headers }, body)
    if (reply.kind === 'no-reply') return undefined
    const verdict = judgeReply(endpoint, reply.body)
    if (!mayBe.includes(verdict.kind))
      this.mistaken.push(`${name} to ${endpoint}: ${verdict.kind}, may be ${mayBe.join(' or ')}`)
    return verdict
  }

  /** A node that is deleted is told so, and comes back as a new one. */
  async #deleteOne(): Promise<void> {
    const { client, environment, keys, witness } = this.#options
    const host = this.#newHost()
    const key = await this.enroll(host)
    if (key === undefined) return
    const identity = await readNodeKey(keys, key)
    if (!identity.ok) return
    witness.disown(key)
    const path = `/environments/${environment.id}/nodes/${identity.value.nodeId}`
    // Operators' calls fail while D1 does; then the node stays, which is no fault.
    const isDeleted = await client.call('DELETE', path).then(
      () => true,
      () => false,
    )
    await this.#send('deleted-node', withKey('read', key, [...REFUSED, 'ok']))
    const next = await this.enroll(host)
    if (next === undefined || !isDeleted) return
    const again = await readNodeKey(keys, next)
    if (again.ok && again.value.nodeId === identity.value.nodeId)
      this.mistaken.push(`deleted-node: ${host} came back as the node that was deleted`)
  }

  async #pieces(name: Exclude<JunkName, 'deleted-node' | 'new-node'>): Promise<readonly Piece[]> {
    const good = { Authorization: `NodeKey ${this.#key}` }
    const packed = { ...good, 'Content-Encoding': 'gzip' }
    const toAll = (body: Body) =>
      CALLS.map((endpoint) => ({ endpoint, body, headers: good, mayBe: ANSWER_OR_RETRY }))
    const toLog = (body: Body, headers: Readonly<Record<string, string>> = packed): Piece[] => [
      { endpoint: 'log', body, headers, mayBe: ANSWER_OR_RETRY },
    ]
    const batch = `{"node_key":"${this.#key}","log_type":"result","data":[{"name":"junk","columns":{"a":"1"}}]}`
    switch (name) {
      case 'malformed-json':
        return toAll(`{"node_key":"${this.#key}","data":[}{,"log_type":result`)
      case 'truncated-json':
        return toAll(batch.slice(0, Math.floor(this.#dice.between(1, batch.length))))
      case 'deep-json':
        return toAll(`{"node_key":"${this.#key}","log_type":"result","data":${'['.repeat(DEEP)}`)
      case 'wrong-shapes':
        return [
          '[]',
          '"text"',
          '7',
          'null',
          '{"data":{"a":[]},"log_type":[],"queries":"x","statuses":3}',
        ].flatMap(toAll)
      case 'no-body':
        return toAll('')
      case 'gzip-bomb':
        return toLog(await (this.#bomb ??= makeBomb(this.#key)))
      case 'truncated-gzip':
        return toLog(gzipSync(batch).subarray(0, 40))
      case 'gzip-of-nothing':
        return [...toLog(gzipSync('')), ...toLog(batch)]
      case 'huge-body':
        return toLog(this.#hugeBody(), good)
      case 'huge-body-without-key':
        return [
          {
            endpoint: 'log',
            body: this.#hugeBody(),
            headers: keyHeader(this.#disowned('nobody')),
            mayBe: REFUSED,
          },
        ]
      case 'wrong-secret':
        return [this.#wrongSecret()]
      case 'foreign-query-ids':
        return this.#foreignAnswers(good)
      case 'foreign-carve-session':
        return [
          {
            endpoint: 'carveBlock',
            body: '{"block_id":0,"session_id":"nobody","request_id":"r","data":"AAAA"}',
            mayBe: ['failed'],
          },
        ]
      default:
        return this.#badKeys(name)
    }
  }

  /** In the header and in the body, at every call. */
  async #badKeys(name: 'wrong-key' | 'forged-key' | 'bit-flipped-key' | 'unknown-key-id'): Promise<Piece[]> {
    const key = name === 'unknown-key-id' ? await this.#unknownKey() : this.#badKey(name)
    // A key that a newer Worker may have made is none that is known to be wrong (design R3).
    const mayBe: readonly Kind[] = name === 'unknown-key-id' ? ['failed'] : REFUSED
    return CALLS.flatMap((endpoint) => [
      withKey(endpoint, key, mayBe),
      { endpoint, headers: keyHeader(key), body: '{}', mayBe },
    ])
  }

  #badKey(name: 'wrong-key' | 'forged-key' | 'bit-flipped-key'): string {
    if (name === 'wrong-key')
      return this.#disowned(`key-of-another-server-${Math.floor(this.#dice.next() * 1e9)}`)
    const characters = this.#key.split('')
    // Of a forged key the last part, its MAC, is made up; of a flipped one a single bit is not what it was.
    const places =
      name === 'forged-key' ? [-1, -3, -5, -7] : [Math.floor(this.#dice.next() * characters.length)]
    for (const place of places) {
      const at = (place + characters.length) % characters.length
      characters[at] = name === 'forged-key' ? other(characters[at]) : flipped(characters[at], this.#dice)
    }
    return this.#disowned(characters.join(''))
  }

  async #unknownKey(): Promise<string> {
    const identity = await readNodeKey(this.#options.keys, this.#key)
    if (!identity.ok) throw new Error('the stranger’s own key is good')
    const others = await loadSigningKeys(
      JSON.stringify({ current: 'k9', keys: { k9: btoa('another key of thirty-two bytes!') } }),
    )
    return makeNodeKey(others, identity.value)
  }

  #wrongSecret(): Piece {
    const secret = this.#disowned('no-secret-of-ours')
    return {
      endpoint: 'enroll',
      body: JSON.stringify({ enroll_secret: secret, host_identifier: 'x' }),
      mayBe: ['failed'],
    }
  }

  /** Answers to queries that other nodes were asked, under ids that are well made, and under some that are not. */
  async #foreignAnswers(headers: Readonly<Record<string, string>>): Promise<Piece[]> {
    const { keys, otherEnvironmentId: environmentId } = this.#options
    const number = 1 + Math.floor(this.#dice.next() * 8)
    const id = await makeQueryId(keys, { environmentId, number, shards: 1, ordinal: 0 })
    const queries = { [id]: [{ uuid: 'a stranger' }], 'no-id-at-all': [{ a: '1' }] }
    const body = JSON.stringify({ node_key: this.#key, queries, statuses: { [id]: 0, 'no-id-at-all': 0 } })
    return [{ endpoint: 'write', body, headers, mayBe: ANSWER_OR_RETRY }]
  }

  #hugeBody(): Buffer {
    if (this.#huge !== undefined) return this.#huge
    const huge = Buffer.alloc(HUGE_BYTES, 0x20)
    huge.write('{"log_type":"result","data":["')
    this.#huge = huge
    return huge
  }

  #disowned(credential: string): string {
    this.#options.witness.disown(credential)
    return credential
  }

  #newHost(): string {
    this.#hosts += 1
    const part = () =>
      Math.floor(this.#dice.next() * 2 ** 32)
        .toString(16)
        .padStart(8, '0')
    return `${part()}-0000-4000-8000-${String(this.#hosts).padStart(12, '0')}`
  }
}
