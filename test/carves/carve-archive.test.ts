/** What R2 makes of parts, and what is forgiven: R2's own rules, on a real bucket. */

import { afterAll, beforeAll, expect, it } from 'vitest'
import { CarveArchive } from '../../src/carves/carve-archive.ts'
import { archiveOf } from '../support/carving.ts'
import { startServer, type TestServer } from '../support/harness.ts'

const PART_BYTES = 5 * 1_024 * 1_024
const KEY = 'carves/environment=e/node=n/tag.tar'

let server: TestServer
beforeAll(async () => {
  server = await startServer()
})
afterAll(() => server.close())

it('is completed once, however often that is tried and in whatever order the parts are given', async () => {
  const bucket = server.env.CARVES
  const archive = new CarveArchive(bucket, KEY)
  const uploadId = await archive.begin('session-1')
  const bytes = archiveOf(PART_BYTES + 7)
  const upload = bucket.resumeMultipartUpload(KEY, uploadId)
  const second = await upload.uploadPart(2, bytes.subarray(PART_BYTES))
  const first = await upload.uploadPart(1, bytes.subarray(0, PART_BYTES))
  const parts = [second, first].map(({ partNumber, etag }) => ({ number: partNumber, etag }))
  await archive.complete('session-1', uploadId, parts)
  // An attempt that did not live to note it is followed by another.
  await archive.complete('session-1', uploadId, parts)
  await expect(archive.complete('session-2', uploadId, parts)).rejects.toThrow()
  const stored = await bucket.get(KEY)
  expect(new Uint8Array((await stored?.arrayBuffer()) ?? [])).toEqual(bytes)
})

it('is taken away with its upload, as often as one likes', async () => {
  const archive = new CarveArchive(server.env.CARVES, KEY)
  const uploadId = await archive.begin('session-3')
  for (const id of [uploadId, uploadId, null]) await archive.discard(id)
  expect(await server.env.CARVES.head(KEY)).toBeNull()
  const late = server.env.CARVES.resumeMultipartUpload(KEY, uploadId)
  await expect(late.uploadPart(1, archiveOf(10))).rejects.toThrow()
})
