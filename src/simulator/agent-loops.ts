/** The four threads of osqueryd - config, scheduler, logger, distributed - and the carver, as loops (1.3, 5.1). */
import type { Result } from '../lib/result.ts'
import type { Flags } from './settings.ts'
import { numberFlag } from './settings.ts'
import { untilAborted } from './until-aborted.ts'

/** What the loops drive. */
export interface LoopedAgent {
  readonly nodeKey: string
  readonly flags: Flags
  enroll(): Promise<Result<string, string>>
  fetchConfig(): Promise<Result<unknown, string>>
  runSchedule(): number
  flushLogs(options: { readonly respectBackoff: boolean }): Promise<unknown>
  pollDistributed(): Promise<unknown>
  carvePending(): Promise<unknown>
}

export interface LoopOptions {
  readonly signal: AbortSignal
  readonly sleep: (waitMs: number, signal?: AbortSignal) => Promise<void>
  readonly now: () => number
  readonly carveCheckIntervalMs: number
  readonly msUntilDue: () => number
  readonly accelerateUntilMs: () => number
}

/** Poll interval of osqueryd while `accelerate` is in force. */
const ACCELERATED_INTERVAL_MS = 5_000
/** How soon the scheduler looks for a schedule that a new configuration may have brought. */
const SCHEDULER_LOOK_MS = 5_000
const MIN_WAIT_MS = 1_000

/**
 * Enrolls and fetches the configuration, then runs the loops side by side until the signal aborts. Ends at once where
 * osqueryd would: when it has no key after that.
 */
export async function runLoops(agent: LoopedAgent, options: LoopOptions): Promise<void> {
  const { signal, sleep, now } = options
  const seconds = (flag: string) => numberFlag(agent.flags, flag) * 1000

  if (agent.nodeKey === '') await untilAborted(signal, () => agent.enroll())
  let hasConfig = false
  const fetchConfig = async () => {
    hasConfig = (await agent.fetchConfig()).ok
  }
  await untilAborted(signal, fetchConfig)
  // Without a key the TLS logger does not start, and osqueryd ends (specification 2.1).
  if (agent.nodeKey === '') return

  const repeat = (work: () => unknown, waitMs: () => number) =>
    untilAborted(signal, async () => {
      while (!signal.aborted) {
        await work()
        await sleep(Math.max(waitMs(), MIN_WAIT_MS), signal)
      }
    })
  const refreshConfig = async () => {
    // 0 means never again, decided at start.
    if (seconds('config_refresh') === 0) return
    const waitMs = () => seconds(hasConfig ? 'config_refresh' : 'config_accelerated_refresh')
    await untilAborted(signal, () => sleep(waitMs(), signal))
    await repeat(fetchConfig, waitMs)
  }
  const pollWaitMs = () =>
    options.accelerateUntilMs() > now() ? ACCELERATED_INTERVAL_MS : seconds('distributed_interval')

  await Promise.all([
    refreshConfig(),
    repeat(
      () => agent.runSchedule(),
      () => Math.min(options.msUntilDue(), SCHEDULER_LOOK_MS),
    ),
    repeat(
      () => agent.flushLogs({ respectBackoff: true }),
      () => seconds('logger_tls_period'),
    ),
    repeat(() => agent.pollDistributed(), pollWaitMs),
    repeat(
      () => agent.carvePending(),
      // At each whole minute, by the clock.
      () => options.carveCheckIntervalMs - (now() % options.carveCheckIntervalMs),
    ),
  ])
}
