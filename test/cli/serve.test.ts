/** `npm run serve` as a program, with a folder of its own. */
import type { ChildProcess } from 'node:child_process'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test, vi } from 'vitest'

import { CliFailure } from '../../src/cli/failure.ts'
import { parseServeOptions } from '../../src/cli/serve/options.ts'
import { listProcesses, signalProcess } from '../../src/cli/start/processes.ts'

const ROOT = join(import.meta.dirname, '..', '..')
const READY_MS = 60_000

let folder: string
let port: number
const started: ChildProcess[] = []

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'osquery-edge-serve-'))
  port = await freePort()
})
afterAll(async () => {
  for (const { pid } of started) if (pid !== undefined) signalProcess(-pid, 'SIGKILL')
  await vi.waitFor(async () => expect(await runtimes()).toEqual([]), { timeout: 60_000 })
  await rm(folder, { recursive: true, force: true })
})

test('serves over plain HTTP, stops in order, keeps what it had', { timeout: 3 * READY_MS }, async () => {
  const first = serve()
  await ready()
  const token = await readFile(join(folder, 'local', 'operator-token'), 'utf8')
  const made = await fetch(url('/api/v1/environments'), {
    method: 'POST',
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
    body: '{"name":"kept"}',
  })
  expect(made.status).toBe(201)
  const unknown = await fetch(url('/api/osquery/config'), { method: 'POST', body: '{"node_key":""}' })
  expect(await unknown.json()).toEqual({ node_invalid: true })

  first.kill('SIGINT')
  expect(await once(first, 'exit')).toEqual([0, null])
  expect(await runtimes()).toEqual([])

  const second = serve()
  await ready()
  const kept = await fetch(url('/api/v1/environments/kept'), {
    headers: { authorization: `Bearer ${token}` },
  })
  expect(kept.status).toBe(200)
  second.kill('SIGKILL')
  await vi.waitFor(async () => expect(await runtimes()).toEqual([]), { timeout: 60_000 })
})

test('takes a folder, and refuses half an argument', () => {
  expect(parseServeOptions(['--port', '9000', '--state', '/x'])).toEqual({
    ip: '127.0.0.1',
    port: 9000,
    stateFolder: '/x',
  })
  expect(parseServeOptions(['--state=/y'])).toMatchObject({ stateFolder: '/y' })
  expect(parseServeOptions([])).toMatchObject({ stateFolder: undefined })
  expect(parseServeOptions(['--help'])).toBeUndefined()
  expect(() => parseServeOptions(['--state'])).toThrow(CliFailure)
  expect(() => parseServeOptions(['--stat', 'x'])).toThrow(CliFailure)
})

function serve(): ChildProcess {
  const args = ['--no-warnings', 'src/cli/serve.ts', '--port', String(port), '--state', folder]
  const child = spawn(process.execPath, args, { cwd: ROOT, detached: true, stdio: 'ignore' })
  started.push(child)
  return child
}

async function ready(): Promise<void> {
  await vi.waitFor(async () => expect((await fetch(url('/health'))).status).toBe(200), {
    timeout: READY_MS,
    interval: 200,
  })
}

function url(path: string): string {
  return `http://127.0.0.1:${port}${path}`
}

/** Processes that name our port: the runtime, and what starts it. */
async function runtimes(): Promise<string[]> {
  return (await listProcesses())
    .filter(({ command }) => command.includes(`:${port}`) || command.endsWith(`runtime.ts 127.0.0.1 ${port}`))
    .map(({ command }) => command)
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  server.close()
  return typeof address === 'object' && address !== null ? address.port : 0
}
