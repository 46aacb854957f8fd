/** What the walk prints: one line for each step with its time, `ok` or `FAILED`, and what was seen. */

/** What a step has made, for the steps after it, and a few words for its line. */
export interface Seen<T> {
  value: T
  detail: string
}

/** A promise of the product that does not hold. Its message is the reason in the report. */
export class WalkFailure extends Error {}

/** Thrown after a failed step without which nothing else can be tried; its line is printed by then. */
export class WalkOver extends Error {}

export class Report {
  #passed = 0
  #failed = 0
  #isOver = false

  get passed(): number {
    return this.#passed
  }

  get failed(): number {
    return this.#failed
  }

  /** A step that the rest stands on: throws WalkOver where it fails. */
  async must<T>(name: string, work: () => Promise<Seen<T>>): Promise<T> {
    const outcome = await this.#run(name, work)
    if (outcome === undefined) throw new WalkOver(name)
    return outcome.value
  }

  /** A step whose failure is noted; the walk goes on. `undefined` where it failed. */
  async check<T>(name: string, work: () => Promise<Seen<T>>): Promise<T | undefined> {
    return (await this.#run(name, work))?.value
  }

  /** Ends the report early, with a failure. Steps that are under way fail while things are cleaned up: not a word of them. */
  giveUp(reason: string): void {
    if (this.#isOver) return
    this.#isOver = true
    this.#failed += 1
    console.log(`FAILED  ${reason}`)
  }

  async #run<T>(name: string, work: () => Promise<Seen<T>>): Promise<Seen<T> | undefined> {
    const startMs = performance.now()
    try {
      const seen = await work()
      this.#passed += 1
      print('ok', startMs, name, seen.detail)
      return seen
    } catch (error) {
      if (this.#isOver) return undefined
      this.#failed += 1
      print('FAILED', startMs, name, reasonOf(error))
      return undefined
    }
  }
}

/** Fails the step unless the condition holds. */
export function expect(condition: boolean, reason: string): asserts condition {
  if (!condition) throw new WalkFailure(reason)
}

/** Gives the value of a Result of the agent; fails the step where there is none. */
export function valueOf<T>(outcome: { ok: true; value: T } | { ok: false; reason: string }, what: string): T {
  if (!outcome.ok) throw new WalkFailure(`${what}: ${outcome.reason}`)
  return outcome.value
}

function print(verdict: 'ok' | 'FAILED', startMs: number, name: string, detail: string): void {
  const seconds = ((performance.now() - startMs) / 1_000).toFixed(1).padStart(5)
  console.log(`${verdict.padEnd(6)} ${seconds} s  ${name}: ${detail}`)
}

/** What is not a WalkFailure is a bug of the walk or a broken connection: the stack says where. */
function reasonOf(error: unknown): string {
  if (error instanceof WalkFailure) return error.message
  return error instanceof Error ? (error.stack ?? error.message) : String(error)
}
