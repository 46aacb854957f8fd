/** Starts the sleeper guarded, says its group, and waits to be killed. For guarded-process.test.ts. */

import { join } from 'node:path'

import { startGuarded } from '../../src/cli/start/guarded-process.ts'

console.log(startGuarded(join(import.meta.dirname, 'sleeper.ts'), []).groupId)
setInterval(() => undefined, 1_000)
