/**
 * How the property tests run: a bounded number of inputs, drawn anew in every run. A failure prints the smallest
 * failing input with seed and path; `PROPERTY_SEED=<seed>` draws the same inputs again, `PROPERTY_RUNS=<factor>` makes
 * a long run of it.
 */

import fc from 'fast-check'

/** Pure properties stop drawing inputs after this, so that a busy machine makes them thinner, never red. */
const PURE_WITHIN_MS = 5_000
/** Properties of the whole Worker: each run costs requests. */
const SERVER_WITHIN_MS = 10_000

const seed = process.env['PROPERTY_SEED']
const factor = Number(process.env['PROPERTY_RUNS'] ?? 1)

/** For a long run: how much longer than usual a test may take. */
export const TIMEOUT_MS = 40_000 * factor

/** Holds a pure property against so many inputs. */
export function check<Inputs>(
  property: fc.IProperty<Inputs> | fc.IAsyncProperty<Inputs>,
  runs: number,
): Promise<void> {
  return assertWithin(property, runs, PURE_WITHIN_MS)
}

/** Holds a property of a running Worker against so many inputs, one after the other. */
export function checkServer<Inputs>(property: fc.IAsyncProperty<Inputs>, runs: number): Promise<void> {
  return assertWithin(property, runs, SERVER_WITHIN_MS)
}

async function assertWithin<Inputs>(
  property: fc.IProperty<Inputs> | fc.IAsyncProperty<Inputs>,
  runs: number,
  withinMs: number,
): Promise<void> {
  await fc.assert(property, {
    numRuns: runs * factor,
    interruptAfterTimeLimit: withinMs * factor,
    markInterruptAsFailure: false,
    ...(seed === undefined ? {} : { seed: Number(seed) }),
  })
}
