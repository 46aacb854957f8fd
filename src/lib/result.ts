/** The outcome of a decision: a value, or a reason that says why not. Never thrown. */
export type Result<T, E> =
  | { readonly ok: true; readonly value: T }
  | { readonly ok: false; readonly reason: E }

/** Wraps a value as a success. */
export function ok<T>(value: T): { readonly ok: true; readonly value: T } {
  return { ok: true, value }
}

/** Wraps a reason as a failure. */
export function fail<E>(reason: E): { readonly ok: false; readonly reason: E } {
  return { ok: false, reason }
}
