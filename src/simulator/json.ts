/** Any JSON value, as a reply or a configuration may hold it. */
export type Json = null | boolean | number | string | Json[] | { [key: string]: Json }

/** A JSON object: the only root that an agent survives in every reply. */
export interface JsonObject {
  [key: string]: Json
}

/** True when the value is a JSON object, not an array and not null. */
export function isJsonObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
