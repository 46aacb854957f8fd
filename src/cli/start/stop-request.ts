/** When to stop: on a signal, and when the npm that started us is gone (nobody could stop us by it any more). */

import { setTimeout as sleep } from 'node:timers/promises'

// npm passes on the SIGINT that the whole process group got already: one wish, two signals.
const SAME_WISH_MS = 1_000
// Short: the next start may be on its way, and must not find the port of this one open.
const ORPHAN_POLL_MS = 50

export interface StopRequest {
  signal: AbortSignal
  requested: Promise<void>
}

/** `onInsist`: the user asks again while we are still stopping. */
export function listenForStop(onInsist: () => void): StopRequest {
  const controller = new AbortController()
  let requestedAtMs: number | undefined
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(name, () => {
      requestedAtMs ??= Date.now()
      if (controller.signal.aborted && Date.now() - requestedAtMs > SAME_WISH_MS) onInsist()
      controller.abort()
    })
  }
  const requested = new Promise<void>((resolve) => {
    controller.signal.addEventListener('abort', () => resolve(), { once: true })
  })
  // Without npm we may be meant to outlive the shell that started us.
  if (process.env.npm_lifecycle_event !== undefined) void watchParent(process.ppid, controller)
  return { signal: controller.signal, requested }
}

async function watchParent(parentPid: number, controller: AbortController): Promise<void> {
  while (!controller.signal.aborted && process.ppid === parentPid) {
    await sleep(ORPHAN_POLL_MS, undefined, { ref: false })
  }
  controller.abort()
}
