/** A Worker that dies: bindings that do so many calls, and then none ever again. */

type Call = (...args: unknown[]) => Promise<unknown>

/** Counts the calls of a step and ends them. */
export class Life {
  calls = 0
  readonly #lastCall: number
  readonly #doesLast: boolean

  /** Dies at this call (from 1): before it is done, or after, when its answer would have come. */
  constructor(lastCall: number, doesLast: boolean) {
    this.#lastCall = lastCall
    this.#doesLast = doesLast
  }

  async live(call: () => Promise<unknown>): Promise<unknown> {
    this.calls += 1
    if (this.calls > this.#lastCall || (this.calls === this.#lastCall && !this.#doesLast))
      throw new Killed('before')
    const answer = await call()
    if (this.calls === this.#lastCall) throw new Killed('after')
    return answer
  }
}

export class Killed extends Error {
  override readonly name = 'Killed'
}

/** The bindings that a step uses, as long as the life lasts. */
export function mortal(env: Env, life: Life): Env {
  const archive = mortalObject(env.ARCHIVE, life)
  const index = { getByName: (name: string) => mortalObject(env.ARCHIVE_INDEX.getByName(name), life) }
  return new Proxy(env, {
    get: (target, property) =>
      property === 'ARCHIVE' ? archive : property === 'ARCHIVE_INDEX' ? index : Reflect.get(target, property),
  })
}

function mortalObject<T extends object>(target: T, life: Life): T {
  return new Proxy(target, {
    get(object, property) {
      const value: unknown = Reflect.get(object, property)
      if (typeof value !== 'function' || typeof property !== 'string') return value
      return (...args: unknown[]) => life.live(() => Reflect.apply(value as Call, object, args))
    },
  })
}
