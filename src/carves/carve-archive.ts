/**
 * A carve's archive in R2: parts of a multipart upload, or one put where it has one part only. It must not know where
 * the bytes come from.
 */

import { hexOf } from '../lib/bytes.ts'

/** The first bytes of a zstd frame (RFC 8878 section 3.1.1): what `carver_compression` makes (spec 6.3). */
const ZSTD_MAGIC = [0x28, 0xb5, 0x2f, 0xfd]

export class CarveArchive {
  readonly #bucket: R2Bucket
  readonly #key: string

  constructor(bucket: R2Bucket, key: string) {
    this.#bucket = bucket
    this.#key = key
  }

  /** Begins a multipart upload for this session; returns its id. */
  async begin(session: string): Promise<string> {
    const upload = await this.#bucket.createMultipartUpload(this.#key, { customMetadata: { session } })
    return upload.uploadId
  }

  /** Uploads a part of exactly so many bytes; returns its etag. Uploading it again makes the first etag worthless. */
  async putPart(uploadId: string, number: number, stream: ReadableStream, bytes: number): Promise<string> {
    const upload = this.#bucket.resumeMultipartUpload(this.#key, uploadId)
    return (await upload.uploadPart(number, ofLength(stream, bytes))).etag
  }

  /** Puts an archive that has one part; returns its etag. */
  async putWhole(session: string, stream: ReadableStream, bytes: number): Promise<string> {
    return (await this.#bucket.put(this.#key, ofLength(stream, bytes), { customMetadata: { session } })).etag
  }

  /** Completes a multipart upload. It may have been completed before, by an attempt that did not live to note it. */
  async complete(
    session: string,
    uploadId: string,
    parts: readonly { number: number; etag: string }[],
  ): Promise<void> {
    try {
      // R2 wants the parts in order (error 10011 otherwise).
      const inOrder = parts
        .toSorted((a, b) => a.number - b.number)
        .map(({ number, etag }) => ({ partNumber: number, etag }))
      await this.#bucket.resumeMultipartUpload(this.#key, uploadId).complete(inOrder)
    } catch (error) {
      const object = await this.#bucket.head(this.#key)
      if (object?.customMetadata?.['session'] !== session) throw error
    }
  }

  /** What the archive is. Throws where it does not have exactly so many bytes. */
  async examine(bytes: number): Promise<{ sha256: string; isZstd: boolean }> {
    const object = await this.#bucket.get(this.#key)
    if (object === null || object.size !== bytes) throw new Error('the archive is not what was put together')
    const digest = new crypto.DigestStream('SHA-256')
    await object.body.pipeTo(digest)
    const length = Math.min(ZSTD_MAGIC.length, bytes)
    const start = await this.#bucket.get(this.#key, { range: { offset: 0, length } })
    const first = new Uint8Array((await start?.arrayBuffer()) ?? new ArrayBuffer(0))
    const isZstd = ZSTD_MAGIC.every((byte, index) => first[index] === byte)
    return { sha256: hexOf(new Uint8Array(await digest.digest)), isZstd }
  }

  /** Takes away what is there: the upload and the object. Idempotent. */
  async discard(uploadId: string | null): Promise<void> {
    if (uploadId !== null) {
      await this.#bucket
        .resumeMultipartUpload(this.#key, uploadId)
        .abort()
        .catch(() => {
          // Completed or aborted before, or gone by itself (R2 aborts uploads after 7 days): nothing to take away.
        })
    }
    await this.#bucket.delete(this.#key)
  }
}

/** R2 takes streams of known length only. */
function ofLength(stream: ReadableStream, bytes: number): ReadableStream {
  return stream.pipeThrough(new FixedLengthStream(bytes))
}
