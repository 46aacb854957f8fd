/** The type of BLOB columns. */

import { customType } from 'drizzle-orm/sqlite-core'
import type { Bytes } from '../lib/bytes.ts'

/** D1 takes BLOBs as byte arrays; it hands them out as arrays of numbers. */
export const bytes = customType<{ data: Bytes; driverData: ArrayLike<number> }>({
  dataType: () => 'blob',
  fromDriver: (value) => Uint8Array.from(value),
})
