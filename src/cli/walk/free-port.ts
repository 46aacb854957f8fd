/** Finds a port that nobody listens on. */

import { once } from 'node:events'
import { createServer } from 'node:net'
import { randomInt } from 'node:crypto'

// Below the ports that systems give to outgoing connections: between two starts none of those may take ours.
const LOWEST = 20_000
const HIGHEST = 32_000
const TRIES = 50

/** A port that is free on 127.0.0.1 now, and likely to stay so. */
export async function findFreePort(): Promise<number> {
  for (let i = 0; i < TRIES; i += 1) {
    const port = randomInt(LOWEST, HIGHEST)
    if (await isPortFree(port)) return port
  }
  throw new Error(`no free port from ${LOWEST} to ${HIGHEST}`)
}

export async function isPortFree(port: number): Promise<boolean> {
  const server = createServer().listen({ host: '127.0.0.1', port, exclusive: true })
  try {
    await once(server, 'listening')
  } catch {
    return false
  }
  server.close()
  await once(server, 'close')
  return true
}
