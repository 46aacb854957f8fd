/** A guarded program that never ends by itself, with a child as wrangler has one. For guarded-process.test.ts. */

import { spawn } from 'node:child_process'

spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)'], { stdio: 'ignore' })
setInterval(() => undefined, 1_000)
