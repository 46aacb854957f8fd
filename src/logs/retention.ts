/** How long lines are kept, by environment and type. Pure. R2's lifecycle rules work by prefix, so days come in classes. */

import { LINE_TYPES, type LineType } from './line.ts'

/** The classes that there are: `npm run deploy` makes a lifecycle rule for the prefix of each (cli/deploy/lifecycle). */
export const RETENTION_CLASSES = [7, 30, 90, 180, 365, 730] as const

export type RetentionDays = (typeof RETENTION_CLASSES)[number]

/** What an environment's operators did not set is kept this long. */
export const DEFAULT_RETENTION_DAYS: RetentionDays = 90

/** An environment's choices; a type that is missing has the default. */
export type Retention = Readonly<Partial<Record<LineType, RetentionDays>>>

/**
 * For how many days new lines of a type are kept. What is no class of ours falls back to the default: under a prefix
 * without a rule lines would stay for ever.
 */
export function retentionDaysOf(retention: Retention, type: LineType): RetentionDays {
  const days = retention[type]
  return days !== undefined && RETENTION_CLASSES.includes(days) ? days : DEFAULT_RETENTION_DAYS
}

/** Reads an environment's choices as D1 has them. What is no type or class of ours is left out. */
export function readRetention(text: string): Retention {
  const stored = JSON.parse(text) as Record<string, unknown>
  const known = LINE_TYPES.flatMap((type) => {
    const days = RETENTION_CLASSES.find((days) => days === stored[type])
    return days === undefined ? [] : [[type, days] as const]
  })
  return Object.fromEntries(known)
}
