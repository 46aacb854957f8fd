/** `npm run keys -- status|init|add|switch|revoke|retire`: rotates what signs node keys. */

import { runCommand } from './failure.ts'
import { runKeys } from './keys/run.ts'

await runCommand(() => runKeys(process.argv.slice(2), (line) => console.log(line)))
