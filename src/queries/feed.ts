/**
 * The Feed object: one for each query that is watched, named `<environment>/<number>`. Viewers are connected to it, its
 * shards report to it; rows are fetched from the shards as fast as each viewer takes them. Nothing in it is a truth: it
 * may be evicted, restarted or deleted at any time, and a viewer comes back with its cursor.
 */

import { DurableObject } from 'cloudflare:workers'
import { utf8 } from '../lib/bytes.ts'
import { Deadline } from '../lib/deadline.ts'
import { applySchema } from '../lib/object-schema.ts'
import { readQueryFate } from '../db/query-life.ts'
import { REVOKED_LINE } from './feed-lines.ts'
import { FeedRows } from './feed-rows.ts'
import { FeedSteps, MAX_ROWS_PER_BATCH, newViewer, PROGRESS_EVERY_MS, type Viewer } from './feed-steps.ts'
import { FEED_SCHEMA, FeedStore, type WatchedQuery } from './feed-store.ts'
import { stillTokens } from './feed-tokens.ts'
import { readCommand } from './feed-commands.ts'
import { FeedShards } from './feed-shards.ts'
import type { ShardReport } from './shard-watches.ts'
import { readPlace, startPlace } from './viewer-place.ts'

/** The header in which the Worker hands over the query, as JSON. Nobody else reaches this object. */
export const WATCHED_QUERY_HEADER = 'x-watched-query'
/** The SHA-256 of the operator token, so that the stream ends when it is revoked. */
export const TOKEN_HASH_HEADER = 'x-token-hash'
/** The subprotocol that the viewer's client is told to be spoken. */
export const SUBPROTOCOL_HEADER = 'x-subprotocol'
/** Half as long as shards report. */
const RENEW_EVERY_MS = 30_000
const FATE_WITHIN_MS = 2_000
/** Something is said at least this often, so that a dead connection is noticed. */
const SIGN_OF_LIFE_EVERY_MS = 15_000
/** The environment hears of an operator's actions at most this often. */
const ACTION_EVERY_MS = 5_000

/** What D1 says of a query that is erased. */
const GONE = { status: 'stopped', targeted: 0 } as const

/** What survives hibernation with a WebSocket. */
interface Attachment {
  viewer: Viewer
  /** Rows that the viewer still takes. */
  credits: number
}

/** A viewer over HTTP. */
interface OpenStream {
  readonly tokenHash: string
  isRevoked: boolean
}

export class Feed extends DurableObject<Env> {
  readonly #store: FeedStore
  readonly #shards: FeedShards
  readonly #steps: FeedSteps
  /** Sockets that are being sent to, and whether something changed meanwhile. */
  readonly #busySockets = new Map<WebSocket, { again: boolean }>()
  readonly #streams = new Set<OpenStream>()
  /** Viewers that are connecting: what is reported meanwhile is for them. */
  #connecting = 0
  #change = Promise.withResolvers<void>()
  #wakesLater = false
  #actedAtMs = 0

  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env)
    applySchema(ctx.storage, FEED_SCHEMA)
    this.#store = new FeedStore(ctx.storage.sql)
    this.#shards = new FeedShards(env, this.#store, {
      isWatched: () => this.#isWatched(),
      changed: () => this.#wake(),
    })
    const later = () => this.#wakeLater()
    this.#steps = new FeedSteps(this.#store, new FeedRows(env), this.#shards, later)
  }

  /** Connects a viewer: a WebSocket where the request asks for one, else an NDJSON body. */
  override async fetch(request: Request): Promise<Response> {
    const query = JSON.parse(request.headers.get(WATCHED_QUERY_HEADER) ?? '') as WatchedQuery
    const { searchParams } = new URL(request.url)
    const place = readPlace(searchParams.get('cursor') ?? '', query.shards) ?? startPlace(query.shards)
    const viewer = newViewer(place, request.headers.get(TOKEN_HASH_HEADER) ?? '')
    this.#connecting += 1
    try {
      this.#store.putQuery(query)
      await this.#shards.renew(query)
      await this.ctx.storage.setAlarm(Date.now() + this.#waitMs(RENEW_EVERY_MS))
    } finally {
      this.#connecting -= 1
    }
    this.ctx.waitUntil(this.act())
    this.ctx.waitUntil(this.#dropRevoked())
    if (request.headers.get('upgrade')?.toLowerCase() !== 'websocket') return this.#stream(viewer)
    return this.#accept({ viewer, credits: Number(searchParams.get('credits')) }, request)
  }

  /** A shard says what it has of the query. False: nobody watches. */
  report(shard: number, report: ShardReport): boolean {
    const query = this.#store.query()
    if (query === null || !this.#isWatched()) {
      this.#shards.forget()
      return false
    }
    const before = this.#store.reports().get(shard)?.counts.late ?? 0
    this.#shards.take(shard, report)
    // Nodes that enrolled since are among D1's targets now.
    if ((report.counts.late ?? 0) < before) this.ctx.waitUntil(this.#readFate(query).then(() => this.#wake()))
    else this.#wake()
    return true
  }

  /** The query was stopped or erased: whoever watches is told. */
  changed(status: 'stopped'): void {
    const query = this.#store.query()
    if (query === null) return
    this.#store.putQuery({ ...query, status })
    this.#wake()
  }

  /** A viewer's operator did something: acceleration goes on from now. */
  async act(): Promise<void> {
    const query = this.#store.query()
    if (query === null || Date.now() - this.#actedAtMs < ACTION_EVERY_MS) return
    this.#actedAtMs = Date.now()
    try {
      await this.env.ENVIRONMENT.getByName(query.environmentId).watch(query.number)
    } catch (error) {
      console.warn(JSON.stringify({ event: 'not-accelerated', error: String(error) }))
    }
  }

  override async webSocketMessage(socket: WebSocket, message: string | ArrayBuffer): Promise<void> {
    const command = readCommand(message)
    if (command === null) return socket.close(1003, 'not a message of this stream')
    if (command.type === 'active') return this.act()
    const attachment = socket.deserializeAttachment() as Attachment
    socket.serializeAttachment({ ...attachment, credits: attachment.credits + command.rows })
    await this.#pump(socket)
  }

  override webSocketClose(socket: WebSocket): void {
    this.#busySockets.delete(socket)
  }

  override async alarm(): Promise<void> {
    const query = this.#store.query()
    // What is here can be had again; a Feed that nobody looks at is not worth its storage.
    if (query === null || !this.#isWatched()) return this.#store.forgetAll()
    await this.ctx.storage.setAlarm(Date.now() + this.#waitMs(RENEW_EVERY_MS))
    await this.#readFate(query)
    await this.#dropRevoked()
    await this.#shards.renew(query)
    this.#wake()
  }

  /** So long, or until the query expires: nothing else tells viewers of that. */
  #waitMs(mostMs: number): number {
    const leftMs = (this.#store.query()?.expiresAtMs ?? 0) - Date.now()
    return leftMs <= 0 ? mostMs : Math.min(mostMs, leftMs + 1)
  }

  #isWatched(): boolean {
    return this.#connecting > 0 || this.#streams.size > 0 || this.ctx.getWebSockets().length > 0
  }

  /** D1 knows whether the query was stopped while nobody could tell us. */
  async #readFate(query: WatchedQuery): Promise<void> {
    try {
      const fate = readQueryFate(this.env.DB, query.environmentId, query.number)
      const { status, targeted } = (await new Deadline(FATE_WITHIN_MS).run(fate)) ?? GONE
      if (status !== query.status || targeted > query.targeted)
        this.#store.putQuery({ ...query, status, targeted: Math.max(targeted, query.targeted) })
    } catch (error) {
      console.warn(JSON.stringify({ event: 'feed-without-d1', error: String(error) }))
    }
  }

  /** A token that was revoked watches no longer: looked at every half minute, and when somebody connects. */
  async #dropRevoked(): Promise<void> {
    const sockets = this.ctx.getWebSockets().map((socket) => ({ socket, hash: viewerOf(socket).tokenHash }))
    const streams = [...this.#streams]
    const hashes = new Set([...sockets.map(({ hash }) => hash), ...streams.map(({ tokenHash }) => tokenHash)])
    const known = await stillTokens(this.env.DB, hashes)
    if (known === null) return
    for (const stream of streams) stream.isRevoked = !known.has(stream.tokenHash)
    for (const { socket, hash } of sockets) {
      if (known.has(hash)) continue
      socket.send(REVOKED_LINE)
      socket.close(1008, 'the operator token was revoked')
    }
  }

  /** Something changed: viewers that wait go on. */
  #wake(): void {
    this.#change.resolve()
    this.#change = Promise.withResolvers<void>()
    for (const socket of this.ctx.getWebSockets()) this.ctx.waitUntil(this.#pump(socket))
  }

  /** Goes on in a moment: there is progress that was too early to tell, or a shard to ask again. */
  #wakeLater(): void {
    if (this.#wakesLater) return
    this.#wakesLater = true
    setTimeout(() => {
      this.#wakesLater = false
      this.#wake()
    }, PROGRESS_EVERY_MS)
  }

  #accept(attachment: Attachment, request: Request): Response {
    const { 0: client, 1: server } = new WebSocketPair()
    this.ctx.acceptWebSocket(server)
    server.serializeAttachment(attachment)
    this.ctx.waitUntil(this.#pump(server))
    const protocol = request.headers.get(SUBPROTOCOL_HEADER)
    const headers = new Headers({ 'cache-control': 'no-store' })
    if (protocol !== null) headers.set('sec-websocket-protocol', protocol)
    return new Response(null, { status: 101, webSocket: client, headers })
  }

  /** Sends a socket what is new, as far as its credits go. One at a time for each socket. */
  async #pump(socket: WebSocket): Promise<void> {
    const sending = this.#busySockets.get(socket)
    if (sending !== undefined) {
      sending.again = true
      return
    }
    const state = { again: false }
    this.#busySockets.set(socket, state)
    try {
      for (;;) {
        state.again = false
        const before = socket.deserializeAttachment() as Attachment
        const step = await this.#steps.next(before.viewer, before.credits)
        if (step === null && state.again) continue
        if (step === null) return
        if (step.lines.length > 0) socket.send(step.lines.join('\n'))
        // Credits may have come in meanwhile.
        const { credits } = socket.deserializeAttachment() as Attachment
        socket.serializeAttachment({ viewer: step.viewer, credits: credits - step.rows })
        if (step.viewer.ended) return socket.close(1000, 'the query is over')
      }
    } catch (error) {
      console.warn(JSON.stringify({ event: 'viewer-gone', error: String(error) }))
    } finally {
      this.#busySockets.delete(socket)
    }
  }

  /** An NDJSON body: the next lines are made when the reader has taken the ones before. */
  #stream(start: Viewer): Response {
    let viewer = start
    const open: OpenStream = { tokenHash: start.tokenHash, isRevoked: false }
    const close = () => this.#streams.delete(open)
    this.#streams.add(open)
    const body = new ReadableStream<Uint8Array>(
      {
        pull: async (controller) => {
          for (;;) {
            if (open.isRevoked) {
              controller.enqueue(utf8(`${REVOKED_LINE}\n`))
              close()
              return controller.close()
            }
            const change = this.#change.promise
            const step = await this.#steps.next(viewer, MAX_ROWS_PER_BATCH)
            if (!this.#streams.has(open)) return
            viewer = step?.viewer ?? viewer
            if (step !== null && step.lines.length > 0) {
              controller.enqueue(utf8(`${step.lines.join('\n')}\n`))
              if (!viewer.ended) return
              close()
              return controller.close()
            }
            if (step === null && (await silence(change, this.#waitMs(SIGN_OF_LIFE_EVERY_MS))))
              viewer = { ...viewer, progressKey: '' }
          }
        },
        cancel: () => void close(),
      },
      { highWaterMark: 0 },
    )
    return new Response(body, {
      headers: { 'content-type': 'application/x-ndjson', 'cache-control': 'no-store' },
    })
  }
}

function viewerOf(socket: WebSocket): Viewer {
  return (socket.deserializeAttachment() as Attachment).viewer
}

/** Whether nothing changed for so long. */
async function silence(change: Promise<void>, forMs: number): Promise<boolean> {
  const waited = scheduler.wait(forMs).then(() => true)
  return Promise.race([change.then(() => false), waited])
}
