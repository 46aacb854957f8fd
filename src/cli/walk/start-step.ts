/** Steps about `npm start` itself: it becomes ready, says what to do next, and stops in order. */

import type { CheckoutCopy } from './checkout-copy.ts'
import { isPortFree } from './free-port.ts'
import { HttpsClient } from './https-client.ts'
import type { LocalAccess } from './local-files.ts'
import { readLocalFiles } from './local-files.ts'
import type { NpmRun } from './npm-run.ts'
import type { Seen } from './report.ts'
import { WalkFailure, expect } from './report.ts'
import { health } from './shapes.ts'
import { until } from './wait.ts'

/** A first start makes certificate and database before it opens the port. */
const READY = { withinMs: 60_000, everyMs: 100 }
/** It asks /health too, and prints when it has heard. */
const ANNOUNCED = { withinMs: 5_000, everyMs: 50 }
const LAST_WORDS = 'Ctrl-C'
const STOPPED_WITHIN_MS = 15_000
/** After a SIGKILL nothing has to be waited for. */
const GONE_WITHIN_MS = 2_000

export interface RunningServer {
  start: NpmRun
  access: LocalAccess
  port: number
}

/** Waits for the start to answer GET /health as promised. */
export async function untilReady(
  start: NpmRun,
  copy: CheckoutCopy,
  port: number,
): Promise<Seen<RunningServer>> {
  const ended = start.ended.then((code) => {
    throw new WalkFailure(`npm start ended with ${code}:\n${start.output}`)
  })
  const access = await Promise.race([ended, until('ready', READY, () => askHealth(start, copy))])
  expect(access.url === `https://localhost:${port}`, `the flagfile names ${access.url}`)
  await start.noteGroups()
  return { value: { start, access, port }, detail: `/health is 200 on ${access.url}` }
}

/** What the user reads must name the URL, the files and the commands. */
export async function checkAnnouncement({ start, access }: RunningServer): Promise<void> {
  await until('announced', ANNOUNCED, async () => start.output.includes(LAST_WORDS) || undefined)
  const promised = [
    access.url,
    '.local/osquery.flags',
    '.local/enroll_secret',
    '.local/server.pem',
    '.local/operator-token',
    'sudo osqueryd --flagfile .local/osquery.flags',
    'npm run agent',
  ]
  const absent = promised.filter((text) => !start.output.includes(text))
  expect(absent.length === 0, `npm start does not print ${absent.join(', ')}; it prints:\n${start.output}`)
  expect(!start.output.includes(access.enrollSecret), 'npm start prints the enroll secret')
  expect(!start.output.includes(access.operatorToken), 'npm start prints the operator token')
}

/** SIGINT to the process group: exit code 0, the port free, nothing left. */
export async function stopInOrder({ start, port }: RunningServer): Promise<Seen<undefined>> {
  await start.noteGroups()
  start.interrupt()
  const code = await start.endedWithin(STOPPED_WITHIN_MS)
  expect(code !== 'running', `still running ${STOPPED_WITHIN_MS / 1_000} s after SIGINT`)
  expect(code === 0, `npm start ended with ${code} after SIGINT:\n${start.output.slice(-2_000)}`)
  await expectNothingLeft(start, port)
  return { value: undefined, detail: 'exit code 0 after SIGINT, the port is free, no process is left' }
}

/** Fails the step where a process of the start still runs or its port is taken. */
export async function expectNothingLeft(start: NpmRun, port: number): Promise<void> {
  const left = await start.leftovers(GONE_WITHIN_MS)
  expect(left.length === 0, `left running: ${left.map(({ pid, command }) => `${pid} ${command}`).join('; ')}`)
  expect(await isPortFree(port), `port ${port} is still in use`)
}

/** `undefined` while nobody listens. The certificate is made after the files' folder, so that it may not be there yet. */
async function askHealth(start: NpmRun, copy: CheckoutCopy): Promise<LocalAccess | undefined> {
  await start.noteGroups()
  try {
    const access = await readLocalFiles(copy.folder)
    const { status, body } = await new HttpsClient(access.url, access.certificate).send('GET', '/health')
    const text = new TextDecoder().decode(body)
    expect(status === 200, `/health has status ${status}: ${text.slice(0, 200)}`)
    expect(health.safeParse(JSON.parse(text)).success, `/health says ${text.slice(0, 200)}`)
    return access
  } catch (error) {
    if (error instanceof Error && 'code' in error && WAIT_FOR.has(String(error.code))) return undefined
    throw error
  }
}

/** A file that is not there yet, a port that nobody or nobody ready listens on. */
const WAIT_FOR = new Set(['ENOENT', 'ECONNREFUSED', 'ECONNRESET'])
