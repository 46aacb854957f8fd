/**
 * One session's way into R2: parts, each uploaded once, and the archive made of them. After every wait it looks
 * whether the session is still there: an operator may erase it at any time.
 */

import { blocksOfPart, partCount } from '../fleet/carve-plan.ts'
import type { Bytes } from '../lib/bytes.ts'
import { Deadline } from '../lib/deadline.ts'
import { CarveArchive } from './carve-archive.ts'
import { UPLOAD_WITHIN_MS, WORK_STEP_WITHIN_MS } from './constants.ts'
import type { Session, SessionStore } from './session-store.ts'

/** Thrown when a session was erased or replaced while something was on its way to R2. */
export class SessionGone extends Error {
  override readonly name = 'SessionGone'
}

export class SessionUploads {
  readonly #bucket: R2Bucket
  readonly #store: SessionStore
  /** Parts on their way to R2, of agents' blocks. */
  readonly #running = new Map<number, Promise<void>>()
  #beginning: Promise<string> | null = null

  constructor(bucket: R2Bucket, store: SessionStore) {
    this.#bucket = bucket
    this.#store = store
  }

  get isIdle(): boolean {
    return this.#running.size === 0
  }

  /** The upload of this part that is under way: a second one would make the first one's etag worthless. */
  running(part: number): Promise<void> | undefined {
    return this.#running.get(part)
  }

  /** Uploads a part from an agent's stream and notes it. Throws when R2 fails or the session is gone. */
  async uploadStreamed(session: Session, part: number, stream: ReadableStream): Promise<void> {
    const deadline = new Deadline(UPLOAD_WITHIN_MS)
    const upload = deadline.run(this.#upload(session, part, stream))
    const noted = upload.then((etag) => this.#note(session, part, etag))
    this.#running.set(part, noted)
    try {
      await noted
    } finally {
      this.#running.delete(part)
    }
  }

  /** Uploads every part whose blocks are all gathered, and notes it. */
  async uploadGathered(session: Session): Promise<void> {
    const { plan } = session.carve
    for (const part of this.#store.fullParts(plan)) {
      const stream = streamOf(this.#store.partRows(plan, part))
      const upload = this.#upload(session, part, stream)
      await this.#note(session, part, await new Deadline(WORK_STEP_WITHIN_MS).run(upload))
    }
  }

  /** Puts the archive together from parts that are all there, and says what it is. */
  async finish(session: Session): Promise<{ sha256: string; isZstd: boolean }> {
    const archive = this.#archive(session)
    if (session.uploadId !== null && !session.isAssembled) {
      const completed = archive.complete(session.carve.rowId, session.uploadId, this.#store.uploadedParts())
      await new Deadline(WORK_STEP_WITHIN_MS).run(completed)
      await this.#expectThere(session)
    }
    this.#store.setAssembled()
    const examined = await archive.examine(session.carve.plan.carveSize)
    await this.#expectThere(session)
    return examined
  }

  /** Takes away what is in R2. */
  async discard(session: Session): Promise<void> {
    await this.#archive(session).discard(session.uploadId)
  }

  async #upload(session: Session, part: number, stream: ReadableStream): Promise<string> {
    const { rowId, plan } = session.carve
    const { bytes } = blocksOfPart(plan, part)
    const archive = this.#archive(session)
    if (partCount(plan) === 1) return archive.putWhole(rowId, stream, bytes)
    return archive.putPart(await this.#uploadId(session), part, stream, bytes)
  }

  /** The id of the multipart upload, which is begun once. */
  async #uploadId(session: Session): Promise<string> {
    const known = this.#store.session()?.uploadId ?? null
    if (known !== null) return known
    this.#beginning ??= new Deadline(UPLOAD_WITHIN_MS).run(this.#archive(session).begin(session.carve.rowId))
    try {
      const uploadId = await this.#beginning
      await this.#expectThere({ ...session, uploadId })
      this.#store.setUploadId(uploadId)
      return uploadId
    } finally {
      this.#beginning = null
    }
  }

  async #note(session: Session, part: number, etag: string): Promise<void> {
    await this.#expectThere(session)
    this.#store.putPart(session.carve.plan, part, etag)
  }

  /** Throws where the session was erased or replaced, and takes away what came too late. */
  async #expectThere(session: Session): Promise<void> {
    const present = this.#store.session()
    if (present?.carve.rowId === session.carve.rowId) return
    if (present === null) await this.discard(session)
    throw new SessionGone()
  }

  #archive(session: Session): CarveArchive {
    return new CarveArchive(this.#bucket, session.carve.objectKey)
  }
}

/** A stream that takes from the source as fast as it is read. */
function streamOf(source: Iterator<Bytes>): ReadableStream<Bytes> {
  return new ReadableStream<Bytes>({
    pull(controller) {
      const next = source.next()
      if (next.done === true) controller.close()
      else controller.enqueue(next.value)
    },
  })
}
