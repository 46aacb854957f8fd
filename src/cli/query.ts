/**
 * `npm run query -- --env … --sql …`: a live query, watched as it is answered. Exit codes: 0 done, 1 refused or not
 * reachable, 2 arguments that are not understood, 130 left by Ctrl-C.
 */

import { runCommand } from './failure.ts'
import { runQuery } from './query/run.ts'

const left = new AbortController()
process.once('SIGINT', () => left.abort())
// Who reads the rows has seen enough, as `| head` has.
process.stdout.on('error', () => left.abort())

await runCommand(() =>
  runQuery(process.argv.slice(2), {
    write: (piece) => new Promise((resolve) => process.stdout.write(piece, () => resolve())),
    tell: (line) => console.error(line),
    left: left.signal,
  }),
)
