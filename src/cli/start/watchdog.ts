/**
 * Loaded into wrangler by `--import` (guarded-process.ts). The starter holds the other end of standard input and never
 * writes to it: the input ends only when the starter is gone. Then nobody is left to stop this group in order, so the
 * whole of it - wrangler, its bundler, its runtimes - ends at once. What was acknowledged is on the disk by then.
 */

// Group 0 is our own; the starter made one for us alone.
function endGroup(): void {
  process.kill(0, 'SIGKILL')
}

process.stdin.once('end', endGroup)
process.stdin.once('error', endGroup)
process.stdin.resume()
// Watching must not keep a program alive that has done its work.
if ('unref' in process.stdin) process.stdin.unref()
