/**
 * `npm run config -- validate|plan|apply|export DIR`: a configuration as files. Exit codes: 0 done, 1 refused or not
 * reachable, 2 arguments that are not understood.
 */

import { runConfig } from './config/run.ts'
import { runCommand } from './failure.ts'

await runCommand(() => runConfig(process.argv.slice(2), { print: console.log, printError: console.error }))
