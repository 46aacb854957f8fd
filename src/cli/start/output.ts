/** Passes on what wrangler prints (warnings, errors and the Worker's own), but for what only repeats what we do. */

import type { Readable } from 'node:stream'
import { createInterface } from 'node:readline'

// We fire the cron trigger ourselves; the warning is this line and the ones that belong to it.
const CRON_WARNING = 'Scheduled Workers are not automatically triggered'
const CRON_WARNING_REST =
  /^\s*$|manually trigger a scheduled event|cdn-cgi\/local\/scheduled|test-cron-triggers-locally/

export interface Output {
  silence(): void
}

export function passOn(stdout: Readable, stderr: Readable): Output {
  let silent = false
  for (const [from, to] of [
    [stdout, process.stdout],
    [stderr, process.stderr],
  ] as const) {
    let inCronWarning = false
    createInterface({ input: from }).on('line', (line) => {
      inCronWarning = line.includes(CRON_WARNING) || (inCronWarning && CRON_WARNING_REST.test(line))
      if (!silent && !inCronWarning) to.write(`${line}\n`)
    })
  }
  // wrangler calls an ordered stop of its runtimes a crash.
  return { silence: () => (silent = true) }
}
