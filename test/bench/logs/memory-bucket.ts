/** An R2 bucket that is a map in memory: as much of one as consumer and compaction use. Runs inside of the Worker. */

import type { Bytes } from '../../../src/lib/bytes.ts'

export interface MemoryBucket {
  bucket: R2Bucket
  files(): Bytes[]
  clear(): void
}

export function memoryBucket(): MemoryBucket {
  const objects = new Map<string, Bytes>()
  const bucket = {
    put(key: string, bytes: Bytes) {
      objects.set(key, bytes)
      return Promise.resolve({ key, size: bytes.length })
    },
    get(key: string) {
      const bytes = objects.get(key)
      const arrayBuffer = () => Promise.resolve(bytes?.slice().buffer)
      return Promise.resolve(bytes === undefined ? null : { key, size: bytes.length, arrayBuffer })
    },
    delete(keys: string | string[]) {
      for (const key of [keys].flat()) objects.delete(key)
      return Promise.resolve()
    },
  }
  return {
    bucket: bucket as unknown as R2Bucket,
    files: () => [...objects.values()],
    clear: () => objects.clear(),
  }
}
