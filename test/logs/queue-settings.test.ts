/** What wrangler.toml says of the log queue: a consumer that throws for days must not make Cloudflare discard messages. */

import { join } from 'node:path'
import { expect, it } from 'vitest'
import { unstable_readConfig } from 'wrangler'

/** How long a queue keeps messages where nothing else is set (Cloudflare Queues limits). */
const RETENTION_S = 4 * 24 * 3_600

interface Consumer {
  queue: string
  max_retries?: number
  retry_delay?: number
  dead_letter_queue?: string
}

it.each([undefined, 'staging', 'production'])(
  'messages of a consumer that throws are tried until the queue itself forgets them (%s)',
  (env) => {
    const config = join(import.meta.dirname, '..', '..', 'wrangler.toml')
    const { queues } = unstable_readConfig(
      { config, ...(env === undefined ? {} : { env }) },
      { hideWarnings: true },
    )
    const consumers = queues.consumers as Consumer[]
    const logs = consumers.find(({ queue }) => queue.endsWith('-logs'))
    const dead = consumers.find(({ queue }) => queue === logs?.dead_letter_queue)
    const seconds = [logs, dead].map((one) => (one?.max_retries ?? 0) * (one?.retry_delay ?? 0))
    expect(seconds[0]).toBeGreaterThan(15 * 60)
    expect(seconds[1]).toBeGreaterThanOrEqual(RETENTION_S)
  },
)
