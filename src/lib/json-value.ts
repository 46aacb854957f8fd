/** JSON texts of others as values: what is no JSON is no value, and no exception either. Pure. */

export type JsonObject = Record<string, unknown>

/** Whether a value is an object as JSON means it: no list, no null. */
export function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** The value of a JSON text; undefined, which no JSON is, where it is none. */
export function valueOfText(text: string): unknown {
  try {
    return JSON.parse(text) as unknown
  } catch {
    // Not JSON, or nested too deep for the parser. The message quotes the text, so it goes nowhere.
    return undefined
  }
}

/** The object that a JSON text is; null where it is none. */
export function objectOfText(text: string): JsonObject | null {
  const value = valueOfText(text)
  return isObject(value) ? value : null
}
