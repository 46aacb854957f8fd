/**
 * What the Worker's two isolates hold, by V8's inspector: after a collection, because V8 takes memory back late. The
 * process's resident memory says little of it: the local stand-ins for R2, D1 and queues live in workerd, too, in isolates
 * of their own, and grow with what they store.
 */

import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'

const SAMPLES = 3
const SAMPLE_EVERY_MS = 1_000
const ANSWER_WITHIN_MS = 10_000

interface HeapUsage {
  readonly usedSize: number
  readonly embedderHeapUsedSize: number
  readonly backingStorageSize: number
}

/** Bytes held in all these isolates: the least of a few samples, because requests are under way in each. */
export async function heldBytes(inspectors: readonly URL[]): Promise<number> {
  const samples: number[] = []
  for (let sample = 0; sample < SAMPLES; sample += 1) {
    if (sample > 0) await sleep(SAMPLE_EVERY_MS)
    const held = await Promise.all(inspectors.map(heldBy))
    samples.push(held.reduce((sum, bytes) => sum + bytes, 0))
  }
  return Math.min(...samples)
}

/** Heap, what it refers to outside (`ArrayBuffer`s), and what the runtime keeps for it. */
async function heldBy(inspector: URL): Promise<number> {
  const socket = new WebSocket(inspector.href)
  try {
    await once(socket, 'open', { signal: AbortSignal.timeout(ANSWER_WITHIN_MS) })
    await ask(socket, 1, 'HeapProfiler.enable')
    await ask(socket, 2, 'HeapProfiler.collectGarbage')
    const { backingStorageSize, embedderHeapUsedSize, usedSize } = (await ask(
      socket,
      3,
      'Runtime.getHeapUsage',
    )) as HeapUsage
    return usedSize + embedderHeapUsedSize + backingStorageSize
  } finally {
    socket.close()
  }
}

/** One call of the inspector's protocol. */
function ask(socket: WebSocket, id: number, method: string): Promise<unknown> {
  const { promise, reject, resolve } = Promise.withResolvers<unknown>()
  const timer = setTimeout(
    () => reject(new Error(`${method}: the inspector does not answer`)),
    ANSWER_WITHIN_MS,
  )
  const onMessage = ({ data }: MessageEvent): void => {
    const message = JSON.parse(String(data)) as { id?: number; result?: unknown }
    if (message.id !== id) return
    clearTimeout(timer)
    socket.removeEventListener('message', onMessage)
    resolve(message.result)
  }
  socket.addEventListener('message', onMessage)
  socket.send(JSON.stringify({ id, method }))
  return promise
}
