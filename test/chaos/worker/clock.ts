/**
 * A clock that can be wrong. Must be the entry's first import: modules of the product may keep `Date` when they are
 * loaded. Timers go on as they are, because a wrong clock does not change how long a second is.
 */

const RealDate = Date
const realNow = Date.now.bind(Date)
let offsetMs = 0

RealDate.now = () => realNow() + offsetMs
// Only `new Date()` asks the clock. A proxy keeps `instanceof` true for dates that the runtime made.
globalThis.Date = new Proxy(RealDate, {
  construct: (target, args: unknown[], newTarget) =>
    Reflect.construct(target, args.length === 0 ? [RealDate.now()] : args, newTarget) as Date,
})

/** Sets by how much the clock is wrong. */
export function setClock(wrongByMs: number): void {
  offsetMs = wrongByMs
}

let isTranslating = false

/**
 * Makes alarms mean "in so long" instead of a point in time: the platform's scheduler, which keeps them, has the right
 * time. The same for all objects: workerd's storages have one prototype.
 */
export function translateAlarms(storage: DurableObjectStorage): void {
  if (isTranslating) return
  isTranslating = true
  const prototype = Object.getPrototypeOf(storage) as DurableObjectStorage
  // Given their storage by Reflect.apply below.
  // oxlint-disable-next-line typescript/unbound-method -- see above
  const { setAlarm, getAlarm } = prototype
  prototype.setAlarm = function (this: DurableObjectStorage, time: number | Date) {
    return Reflect.apply(setAlarm, this, [Number(time) - offsetMs])
  }
  prototype.getAlarm = async function (this: DurableObjectStorage) {
    const timeMs = await Reflect.apply(getAlarm, this, [])
    return timeMs === null ? null : timeMs + offsetMs
  }
}
