/**
 * `npm run walk`: does the README's quick start by itself, as a new user would, and asserts it over real HTTPS; with a SIGKILL in
 * the middle. Works in a throw-away copy of the checkout. Exit code 0 if everything holds; walk/* knows how each step is done.
 */

import { once } from 'node:events'

import { runCommand } from './failure.ts'
import { carveFile, download } from './walk/carve-step.ts'
import type { CheckoutCopy } from './walk/checkout-copy.ts'
import { copyCheckout } from './walk/checkout-copy.ts'
import { onceArguments, passOnce, pasteCommands } from './walk/commands-step.ts'
import { goOn, killInMidFlush } from './walk/crash-step.ts'
import { findFreePort } from './walk/free-port.ts'
import { findEveryLine } from './walk/logs-step.ts'
import { NpmRun } from './walk/npm-run.ts'
import { OperatorApi } from './walk/operator-api.ts'
import { askLive, checkAnswers } from './walk/query-step.ts'
import { Report, WalkOver } from './walk/report.ts'
import type { RunningServer } from './walk/start-step.ts'
import { checkAnnouncement, stopInOrder, untilReady } from './walk/start-step.ts'
import { WalkingAgent } from './walk/walking-agent.ts'

/** Nothing in here waits for so long; whatever does, hangs. */
const HARD_CAP_MS = 4 * 60_000
/** With the archive's page size of 100 this makes several pages. */
const EXTRA_LINES = 150
/** What the admin route promises of a line that was acknowledged; after a crash, from the next start's readiness on. */
const VISIBLE_WITHIN_MS = 15_000

/** Every npm that was started, for cleaning up. */
const runs: NpmRun[] = []

async function main(): Promise<number> {
  const startMs = performance.now()
  const report = new Report()
  const copy = await copyCheckout()
  try {
    await Promise.race([walk(report, copy), reasonToGiveUp().then((reason) => report.giveUp(reason))])
  } catch (error) {
    if (!(error instanceof WalkOver)) throw error
    console.log(`Nothing more can be tried without "${error.message}".`)
  } finally {
    for (const run of runs) await run.end()
    await copy.remove()
  }
  const seconds = ((performance.now() - startMs) / 1_000).toFixed(1)
  if (report.failed > 0) for (const { output } of runs) console.log(`\nnpm printed:\n${output}`)
  console.log(`${report.passed} passed, ${report.failed} failed (${seconds} s)`)
  return report.failed === 0 ? 0 : 1
}

async function walk(report: Report, copy: CheckoutCopy): Promise<void> {
  const port = await findFreePort()
  const first = await startServer('npm start', report, copy, port)
  const { url, certificate, operatorToken } = first.access
  const api = new OperatorApi(url, certificate, operatorToken)
  const walking = new WalkingAgent(first.access)
  await report.must('enroll and configuration', () => walking.enroll(api))
  await report.must('log lines', async () => {
    walking.writeLines(EXTRA_LINES)
    await walking.sendLines()
    return { value: undefined, detail: `${walking.agent.acknowledgedLines.length} acknowledged` }
  })
  await report.check('lines in the archive', () => findEveryLine(walking, api, VISIBLE_WITHIN_MS))
  const queries = await report.check('live query', () => askLive(walking, api))
  const carved = await report.check('carve', () => carveFile(walking, api, copy.folder))

  await report.must('SIGKILL in mid-flush', () => killInMidFlush(walking, first))
  const second = await startServer('second npm start', report, copy, port)
  await report.check('the same agent goes on', () => goOn(walking, first.access, second, api))
  if (queries !== undefined)
    await report.check('answers are kept', async () => ({
      value: undefined,
      detail: `${await checkAnswers(walking, api, queries)} rows`,
    }))
  if (carved !== undefined)
    await report.check('the carve is kept', async () => {
      const archive = await download(api, carved.id, carved.archiveSha256)
      return { value: undefined, detail: `${archive.length} bytes, SHA-256 as before` }
    })
  await report.check('nothing acknowledged is missing', () => findEveryLine(walking, api, VISIBLE_WITHIN_MS))
  await report.check('printed commands', () => pasteCommands(copy.folder, second, walking, api))
  await report.check('npm run agent -- --once', () =>
    passOnce(runNpm(copy.folder, onceArguments(copy.folder, second.access))),
  )
  await report.check('SIGINT', () => stopInOrder(second))
  walking.agent.close()
}

function startServer(name: string, report: Report, copy: CheckoutCopy, port: number): Promise<RunningServer> {
  return report.must(name, async () => {
    const start = runNpm(copy.folder, ['start', '--', '--port', String(port), '--ip', '127.0.0.1'])
    const ready = await untilReady(start, copy, port)
    await checkAnnouncement(ready.value)
    return ready
  })
}

function runNpm(folder: string, args: readonly string[]): NpmRun {
  const run = new NpmRun(folder, args)
  runs.push(run)
  return run
}

/** Resolves when the walk takes too long or is to stop. */
async function reasonToGiveUp(): Promise<string> {
  const signals = (['SIGINT', 'SIGTERM', 'SIGHUP'] as const).map((name) =>
    once(process, name).then(() => `The walk was stopped by ${name}.`),
  )
  const tooLong = new Promise<string>((resolve) => {
    setTimeout(() => resolve(`The walk took more than ${HARD_CAP_MS / 60_000} minutes.`), HARD_CAP_MS).unref()
  })
  return Promise.race([...signals, tooLong])
}

await runCommand(main)
