/**
 * The CarveSession object: one carve of one node, named `<environment>/<node>/<carve tag>`. It keeps what has come and
 * tells each block once, whatever order and however often it comes. All state is in SQLite, because an idle object is
 * evicted after 10 s. It must not know of agents' wire or of HTTP.
 */

import { DurableObject } from 'cloudflare:workers'
import { syncCarve } from '../db/carve-sync.ts'
import { blockBytes, partCount, partOfBlock, type CarvePlan } from '../fleet/carve-plan.ts'
import type { Bytes } from '../lib/bytes.ts'
import { Deadline } from '../lib/deadline.ts'
import { CarveArchive } from './carve-archive.ts'
import { archiveKey, type CarveClaim } from './claim.ts'
import * as limits from './constants.ts'
import { SessionStore, type Duty, type Session } from './session-store.ts'
import { SessionUploads } from './session-uploads.ts'

export type BeginVerdict = 'accepted' | 'refused'
export type BlockVerdict = 'stored' | 'unknown-session'

/** A session as operators see it. */
export interface CarveProgress {
  status: Session['status']
  message: string | null
  blocksReceived: number
  blockCount: number
  bytes: number
  sha256: string | null
}

export class CarveSession extends DurableObject<Env> {
  readonly #store: SessionStore
  readonly #uploads: SessionUploads
  #syncing: Promise<void> = Promise.resolve()
  /** When the alarm goes off; null: not known. */
  #armedMs: number | null = null

  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env)
    this.#store = new SessionStore(ctx.storage)
    this.#uploads = new SessionUploads(env.CARVES, this.#store)
  }

  /** Starts the session. The same start again is the same session; another one only before a block has come. */
  async begin(claim: CarveClaim, carveId: string): Promise<BeginVerdict> {
    const present = this.#store.session()
    if (present !== null && !isClaimed(present, claim) && this.#isTouched(present)) return 'refused'
    if (present === null || !isClaimed(present, claim)) this.#start(claim, carveId, Date.now())
    await this.#arm()
    return 'accepted'
  }

  /** Keeps a block that is gathered with others. Returns when it is durable. */
  async storeBlock(claim: CarveClaim, blockId: number, bytes: Bytes): Promise<BlockVerdict> {
    const session = this.#claimed(claim)
    if (session === null || bytes.length !== blockBytes(claim.plan, blockId)) return 'unknown-session'
    if (session.status === 'complete' || this.#store.hasBlock(claim.plan, blockId)) return 'stored'
    const nowMs = Date.now()
    const isPartFull = this.#store.putBlock(claim.plan, blockId, bytes)
    this.#noteBlock(session, isPartFull, nowMs)
    await this.#arm()
    return 'stored'
  }

  /** Keeps a block that is a part of its own: streamed to R2. Returns when it is durable. Throws when R2 fails. */
  async storePart(claim: CarveClaim, blockId: number, stream: ReadableStream): Promise<BlockVerdict> {
    for (;;) {
      const session = this.#claimed(claim)
      const isStored = session?.status === 'complete' || this.#hasBlock(session, blockId)
      if (session === null || isStored) {
        await stream.cancel().catch(() => {
          // The sender may have given up first; nobody wants the rest either way.
        })
        return session === null ? 'unknown-session' : 'stored'
      }
      const part = partOfBlock(claim.plan, blockId)
      const running = this.#uploads.running(part)
      if (running === undefined) return this.#uploadBlock(session, part, stream)
      await running.catch(() => {
        // It failed its own caller; this copy takes over.
      })
    }
  }

  /** How far the carve is; null where there is none. */
  async progress(): Promise<CarveProgress | null> {
    const session = this.#store.session()
    if (session === null) return null
    await this.#arm()
    return this.#progressOf(session)
  }

  /**
   * Takes the carve away for good: blocks, upload and archive. What is still coming in is refused afterwards.
   * Idempotent; throws when R2 does not answer.
   */
  async erase(): Promise<void> {
    const session = this.#store.session()
    await this.#store.forget()
    this.#armedMs = null
    // What was being told to D1 must not come after the caller's own change there.
    await this.#syncing
    const [environmentId, nodeId, carveTag] = (this.ctx.id.name ?? '').split('/')
    if (environmentId === undefined || nodeId === undefined || carveTag === undefined)
      throw new Error('the object is addressed by name')
    const archive = new CarveArchive(this.env.CARVES, archiveKey(environmentId, nodeId, carveTag))
    await archive.discard(session?.uploadId ?? null)
  }

  override async alarm(): Promise<void> {
    this.#armedMs = null
    const session = this.#store.session()
    if (session === null) return
    if (isAbandoned(session, Date.now()) && this.#store.duty('work').dueMs === null)
      this.#store.wantBy('work', Date.now())
    await this.#whenDue('work', () => this.#work())
    await this.#whenDue('sync', () => this.#sync())
    await this.#arm()
  }

  #start(claim: CarveClaim, carveId: string, nowMs: number): void {
    const { environmentId, nodeId, carveTag, requestTag, plan } = claim
    const carve = {
      rowId: crypto.randomUUID(),
      environmentId,
      nodeId,
      carveId,
      requestTag,
      objectKey: archiveKey(environmentId, nodeId, carveTag),
      plan,
      createdAtMs: nowMs,
    }
    this.#store.start(carve, nowMs + limits.FIRST_SYNC_AFTER_MS)
  }

  /** Whether something has come or is coming in. */
  #isTouched(session: Session): boolean {
    return session.status !== 'receiving' || this.#store.blocksReceived() > 0 || !this.#uploads.isIdle
  }

  /** The session that this claim may bring blocks to. */
  #claimed(claim: CarveClaim): Session | null {
    const session = this.#store.session()
    const isOpen = session?.status === 'receiving' || session?.status === 'complete'
    return session !== null && isOpen && isClaimed(session, claim) ? session : null
  }

  #hasBlock(session: Session | null, blockId: number): boolean {
    return session !== null && this.#store.hasBlock(session.carve.plan, blockId)
  }

  #noteBlock(session: Session, isPartFull: boolean, nowMs: number): void {
    this.#store.noteBlock(session, nowMs)
    if (isPartFull) this.#store.wantBy('work', nowMs)
    this.#store.wantBy('sync', nowMs + limits.SYNC_EVERY_MS)
  }

  async #uploadBlock(session: Session, part: number, stream: ReadableStream): Promise<BlockVerdict> {
    await this.#uploads.uploadStreamed(session, part, stream)
    this.#noteBlock(session, this.#isWhole(session), Date.now())
    await this.#arm()
    return 'stored'
  }

  #isWhole({ carve }: Session): boolean {
    return this.#store.uploadedParts().length === partCount(carve.plan)
  }

  /** Runs a duty whose time has come. One that fails is due again, later each time. */
  async #whenDue(duty: Duty, run: () => Promise<void>): Promise<void> {
    const nowMs = Date.now()
    if (this.#store.session() === null) return
    const { dueMs, failures } = this.#store.duty(duty)
    if (dueMs === null || isToCome(dueMs, nowMs)) return
    this.#store.takeUp(duty, nowMs)
    try {
      await run()
      if (this.#store.session() !== null) this.#store.settle(duty)
    } catch (error) {
      console.error(JSON.stringify({ event: `carve-${duty}-failed`, failures, error: String(error) }))
      if (this.#store.session() === null) return
      const waitMs = Math.min(limits.FIRST_RETRY_AFTER_MS * 2 ** failures, limits.LAST_RETRY_AFTER_MS)
      this.#store.postpone(duty, Date.now() + waitMs, failures + 1)
    }
  }

  /** Brings gathered parts to R2 and, when every byte is there, completes the archive. */
  async #work(): Promise<void> {
    const session = this.#store.session()
    if (session?.status !== 'receiving') return
    if (isAbandoned(session, Date.now())) return this.#giveUp(session)
    await this.#uploads.uploadGathered(session)
    const present = this.#store.session()
    if (present === null || !this.#isWhole(present)) return
    const examined = await this.#uploads.finish(present)
    this.#store.end('complete', { message: null, ...examined, blocksReceived: present.carve.plan.blockCount })
    this.#store.wantBy('sync', Date.now())
  }

  /** Ends a session that nobody brings blocks to any more. */
  async #giveUp(session: Session): Promise<void> {
    const { blocksReceived, blockCount } = this.#progressOf(session)
    const isWhole = blocksReceived === blockCount
    await this.#uploads.discard(session)
    const message = isWhole
      ? 'every block came, but the archive could not be put together'
      : `the agent sent ${blocksReceived} of ${blockCount} blocks and no more`
    this.#store.end(isWhole ? 'failed' : 'expired', { message, sha256: null, isZstd: false, blocksReceived })
    this.#store.wantBy('sync', Date.now())
  }

  /** Tells the index in D1. What ended without an archive is forgotten here once D1 knows. */
  async #sync(): Promise<void> {
    const session = this.#store.session()
    if (session === null) return
    const progress = this.#progressOf(session)
    const told = new Deadline(limits.SYNC_WITHIN_MS).run(
      syncCarve(this.env.DB, session.carve, progress, session.outcome, Date.now()),
    )
    this.#syncing = told.catch(() => {
      // The duty's own failure; here only its end matters.
    })
    await told
    if (session.status === 'expired' || session.status === 'failed') await this.#store.forget()
  }

  #progressOf(session: Session): CarveProgress {
    const { plan } = session.carve
    return {
      status: session.status,
      message: session.outcome?.message ?? null,
      blocksReceived: session.outcome?.blocksReceived ?? this.#store.blocksReceived(),
      blockCount: plan.blockCount,
      bytes: plan.carveSize,
      sha256: session.outcome?.sha256 ?? null,
    }
  }

  /** Wakes up for whatever is due first. */
  async #arm(): Promise<void> {
    this.#armedMs ??= await this.ctx.storage.getAlarm()
    const session = this.#store.session()
    if (session === null) return
    const nowMs = Date.now()
    const dues = (['work', 'sync'] as const).flatMap((duty) => {
      const { dueMs } = this.#store.duty(duty)
      if (dueMs === null) return []
      return [dueMs > nowMs && !isToCome(dueMs, nowMs) ? nowMs : dueMs]
    })
    if (session.status === 'receiving' && !isAbandoned(session, nowMs))
      dues.push(session.lastBlockAtMs + limits.ABANDONED_AFTER_MS)
    const dueMs = Math.min(...dues)
    if (dueMs === Number.POSITIVE_INFINITY) return
    const isLost = this.#armedMs !== null && this.#armedMs < nowMs - limits.ALARM_LOST_AFTER_MS
    if (this.#armedMs !== null && this.#armedMs <= dueMs && !isLost) return
    this.#armedMs = dueMs
    await this.ctx.storage.setAlarm(dueMs)
  }
}

/** Nothing is ever put off for longer: what is due later was noted by a clock that was wrong, and is due now. */
function isToCome(dueMs: number, nowMs: number): boolean {
  return dueMs > nowMs && dueMs <= nowMs + limits.LAST_RETRY_AFTER_MS
}

function isClaimed({ carve }: Session, claim: CarveClaim): boolean {
  return carve.requestTag === claim.requestTag && samePlan(carve.plan, claim.plan)
}

function samePlan(a: CarvePlan, b: CarvePlan): boolean {
  return a.blockSize === b.blockSize && a.blockCount === b.blockCount && a.carveSize === b.carveSize
}

function isAbandoned({ status, lastBlockAtMs }: Session, nowMs: number): boolean {
  return status === 'receiving' && nowMs - lastBlockAtMs >= limits.ABANDONED_AFTER_MS
}
