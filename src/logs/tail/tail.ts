/**
 * The Tail object: one for each environment, named by its UUID, whose lines are watched live. While somebody watches it
 * follows the archive's index, and the consumer wakes it; while nobody does it is nothing: no row, no alarm, no call.
 * Nothing in it is a truth: what it loses, a viewer finds by reading the logs.
 */

import { DurableObject } from 'cloudflare:workers'
import { controlDb } from '../../db/control.ts'
import { knownTokenHashes } from '../../db/operator-tokens.ts'
import { Deadline } from '../../lib/deadline.ts'
import { applySchema } from '../../lib/object-schema.ts'
import { Turns } from '../../lib/turns.ts'
import { SocketViewer } from './socket-viewer.ts'
import { StreamViewer } from './stream-viewer.ts'
import { TAIL_FOLLOWER, TailReader } from './tail-reader.ts'
import { TAIL_SCHEMA, TailStore } from './tail-store.ts'
import { startLine, Wanted, type TailRequest, type Viewer } from './viewer.ts'

/** The header in which the Worker hands over who watches, as JSON. Nobody else reaches this object. */
export const TAIL_HEADER = 'x-tail-viewer'
export const MAX_VIEWERS = 24
/** Heartbeats of sockets, and what a lost wake-up left. */
const BEAT_EVERY_MS = 30_000
/** A token that was revoked sees no line that comes in later than this, and hears so at the next beat at the latest. */
const CHECK_TOKENS_EVERY_MS = 5_000
const CALL_WITHIN_MS = 5_000
const D1_WITHIN_MS = 2_000

export class Tail extends DurableObject<Env> {
  readonly #store: TailStore
  readonly #reader: TailReader
  /** Joining and leaving, one after the other. */
  readonly #turns = new Turns()
  readonly #streams = new Set<StreamViewer>()
  readonly #sockets = new Map<WebSocket, SocketViewer>()
  #joining = 0
  #isReading = false
  #readsAgain = false
  #tokensCheckedAtMs = 0

  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env)
    applySchema(ctx.storage, TAIL_SCHEMA)
    this.#store = new TailStore(ctx.storage.sql)
    this.#reader = new TailReader(env)
  }

  /** Connects a viewer: a WebSocket where the request asks for one, else an NDJSON body. 503: there are enough. */
  override async fetch(request: Request): Promise<Response> {
    const asked = JSON.parse(request.headers.get(TAIL_HEADER) ?? '') as TailRequest
    if (this.#viewers().length + this.#joining >= MAX_VIEWERS) return new Response(null, { status: 503 })
    this.#joining += 1
    try {
      await this.#turns.run(() => this.#join(asked.environmentId))
      const isSocket = request.headers.get('upgrade')?.toLowerCase() === 'websocket'
      return isSocket ? this.#acceptSocket(asked) : this.#openStream(asked)
    } finally {
      this.#joining -= 1
    }
  }

  /** There are new objects. Returns at once. A follower that was left behind by a crash is taken off the archive. */
  wake(environmentId: string): void {
    const isWatched = this.#viewers().length + this.#joining > 0
    this.ctx.waitUntil(isWatched ? this.#readOn() : this.#leave({ environmentId }))
  }

  override webSocketMessage(socket: WebSocket, message: string | ArrayBuffer): void {
    if (!this.#viewerOf(socket).take(message)) socket.close(1003, 'not a message of this stream')
  }

  override webSocketClose(socket: WebSocket): Promise<void> {
    this.#sockets.delete(socket)
    return this.#leave({ closing: socket })
  }

  override async alarm(): Promise<void> {
    await this.#leave()
    if (this.#store.state() === null) return
    await this.ctx.storage.setAlarm(Date.now() + BEAT_EVERY_MS)
    for (const stream of this.#streams)
      if (stream.isStalled(Date.now())) stream.end('nothing was read for long')
    await this.#endRevoked()
    for (const viewer of this.#viewers()) viewer.beat(Date.now())
    await this.#readOn()
  }

  #viewers(): Viewer[] {
    return [...this.#streams, ...this.ctx.getWebSockets().map((socket) => this.#viewerOf(socket))]
  }

  #viewerOf(socket: WebSocket): SocketViewer {
    const known = this.#sockets.get(socket)
    if (known !== undefined) return known
    const viewer = new SocketViewer(socket)
    this.#sockets.set(socket, viewer)
    return viewer
  }

  /** The first one who watches makes it follow the archive, from now on. */
  async #join(environmentId: string): Promise<void> {
    if (this.#store.state() !== null && this.#viewers().length > 0) return
    const archive = this.env.ARCHIVE_INDEX.getByName(environmentId)
    const deadline = new Deadline(CALL_WITHIN_MS)
    // A follower that was left behind by a crash would begin with old news.
    await deadline.run(archive.unfollow(TAIL_FOLLOWER))
    this.#store.put({ environmentId, position: await deadline.run(archive.follow(TAIL_FOLLOWER, null)) })
    await this.ctx.storage.setAlarm(Date.now() + BEAT_EVERY_MS)
  }

  /** The last one who leaves ends that. `closing`: a socket that is still listed. */
  #leave(how: { closing?: WebSocket; environmentId?: string } = {}): Promise<void> {
    return this.#turns.run(async () => {
      const environmentId = this.#store.state()?.environmentId ?? how.environmentId
      const others = this.ctx.getWebSockets().filter((socket) => socket !== how.closing)
      if (environmentId === undefined || this.#streams.size + others.length + this.#joining > 0) return
      const archive = this.env.ARCHIVE_INDEX.getByName(environmentId)
      await new Deadline(CALL_WITHIN_MS).run(archive.unfollow(TAIL_FOLLOWER))
      this.#store.forget()
      await this.ctx.storage.deleteAlarm()
    })
  }

  #acceptSocket({ environmentId, filter, tokenHash, subprotocol }: TailRequest): Response {
    const { 0: client, 1: server } = new WebSocketPair()
    this.ctx.acceptWebSocket(server)
    SocketViewer.attach(server, filter, tokenHash)
    const viewer = this.#viewerOf(server)
    viewer.offer(startLine(environmentId))
    viewer.flush()
    const headers = new Headers({ 'cache-control': 'no-store' })
    if (subprotocol !== null) headers.set('sec-websocket-protocol', subprotocol)
    return new Response(null, { status: 101, webSocket: client, headers })
  }

  #openStream({ environmentId, filter, tokenHash }: TailRequest): Response {
    const viewer = new StreamViewer(tokenHash, new Wanted(filter), startLine(environmentId), () => {
      this.#streams.delete(viewer)
      this.ctx.waitUntil(this.#leave())
    })
    this.#streams.add(viewer)
    return new Response(viewer.body, {
      headers: { 'content-type': 'application/x-ndjson', 'cache-control': 'no-store' },
    })
  }

  /** Reads until nothing is new. One at a time; a failure is made up for by the next wake-up or alarm. */
  async #readOn(): Promise<void> {
    this.#readsAgain = true
    if (this.#isReading) return
    this.#isReading = true
    try {
      while (this.#readsAgain) {
        this.#readsAgain = false
        await this.#readPage()
      }
    } catch (error) {
      console.warn(JSON.stringify({ event: 'tail-read-failed', error: String(error) }))
    } finally {
      this.#isReading = false
    }
  }

  async #readPage(): Promise<void> {
    await this.#endRevoked()
    const state = this.#store.state()
    const viewers = this.#viewers()
    if (state === null || viewers.length === 0) return
    const position = await this.#reader.readOn(state, viewers)
    if (position === state.position) return
    this.#readsAgain = true
    // Everybody may have left meanwhile, and somebody else come.
    if (this.#store.state()?.position === state.position) this.#store.put({ ...state, position })
  }

  /** A token that was revoked watches no longer. While D1 is away nobody is sent off: it could not be undone. */
  async #endRevoked(): Promise<void> {
    if (Date.now() - this.#tokensCheckedAtMs < CHECK_TOKENS_EVERY_MS) return
    this.#tokensCheckedAtMs = Date.now()
    const viewers = this.#viewers()
    const hashes = new Set(viewers.map(({ tokenHash }) => tokenHash).filter((hash) => hash !== null))
    if (hashes.size === 0) return
    try {
      const known = await new Deadline(D1_WITHIN_MS).run(
        knownTokenHashes(controlDb(this.env.DB), [...hashes]),
      )
      for (const viewer of viewers) {
        if (viewer.tokenHash !== null && !known.has(viewer.tokenHash))
          viewer.end('the operator token was revoked')
      }
    } catch (error) {
      console.warn(JSON.stringify({ event: 'tail-without-d1', error: String(error) }))
    }
  }
}
