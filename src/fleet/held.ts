/** What nodes keep of configurations they had before. Types only; src/config/held.ts knows what that is. */

import type { PlatformFamily } from './platform.ts'

/** Something that nodes may hold: those of one platform, or (null) any. */
export interface Held {
  /** `/options/<name>`, `/exclude_paths/<category>`, `/<key>` */
  pointer: string
  platform: PlatformFamily | null
}
