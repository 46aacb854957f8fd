/**
 * How the property tests run: a bounded number of inputs, the same in every run, so that a change is judged by itself
 * and not by luck. `PROPERTY_SEED=random` draws others, `PROPERTY_RUNS=<factor>` makes a long run of it; a failure
 * prints the smallest failing input and its seed, which `PROPERTY_SEED=<seed>` draws again.
 */

import fc from 'fast-check'
import { vi } from 'vitest'

/** Inputs are drawn no longer than this, so that a busy machine makes a property thinner, never red. */
const PURE_WITHIN_MS = 1_000
/** The same where each input costs requests to a Worker. */
const SERVER_WITHIN_MS = 1_200
/** How long a failure is made smaller. */
const SHRINK_WITHIN_MS = 10_000

const DEFAULT_SEED = '20261122'
const seed = process.env['PROPERTY_SEED'] ?? DEFAULT_SEED
/** How much longer than usual this run is. */
export const RUNS_FACTOR = Number(process.env['PROPERTY_RUNS'] ?? 1)

// The limits above end a test long before this, unless it hangs.
vi.setConfig({ testTimeout: 40_000 * RUNS_FACTOR })

type Property<Inputs> = fc.IProperty<Inputs> | fc.IAsyncProperty<Inputs>

/** Holds a pure property against so many inputs. */
export function check<Inputs>(property: Property<Inputs>, runs: number): Promise<void> {
  return assertWithin(property, runs, PURE_WITHIN_MS)
}

/** Holds a property of a running Worker against so many inputs, one after the other. */
export function checkServer<Inputs>(property: Property<Inputs>, runs: number): Promise<void> {
  return assertWithin(property, runs, SERVER_WITHIN_MS)
}

async function assertWithin<Inputs>(
  property: Property<Inputs>,
  runs: number,
  withinMs: number,
): Promise<void> {
  await fc.assert(property, {
    numRuns: runs * RUNS_FACTOR,
    plugins: [() => ({ decorateRun: (run) => timed(run, withinMs * RUNS_FACTOR) })],
    ...(seed === 'random' ? {} : { seed: Number(seed) }),
  })
}

type Run<Inputs> = fc.IRawProperty<Inputs>['run']

/**
 * Takes every input for right once the time is up. fast-check's own limit would interrupt a run in the middle, and a
 * run that hangs would pass.
 */
function timed<Inputs>(run: Run<Inputs>, withinMs: number): Run<Inputs> {
  let endsAtMs = Date.now() + withinMs
  let isShrinking = false
  function seen(outcome: fc.PropertyFailure | fc.PreconditionFailure | null) {
    const isFailure = outcome !== null && !fc.PreconditionFailure.isFailure(outcome)
    if (isFailure && !isShrinking) endsAtMs = Date.now() + SHRINK_WITHIN_MS
    isShrinking ||= isFailure
    return outcome
  }
  return (inputs) => {
    if (Date.now() > endsAtMs) return null
    const outcome = run(inputs)
    return outcome instanceof Promise ? outcome.then(seen) : seen(outcome)
  }
}
