/**
 * `npm start` as a program: ready, stopped in order, killed, started again. In a copy of the project, so that it meets neither the
 * server nor the data of whoever runs the tests.
 */

import type { ChildProcess } from 'node:child_process'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { cp, mkdtemp, readFile, rm, stat, symlink } from 'node:fs/promises'
import { request } from 'node:https'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test, vi } from 'vitest'

import type { ProcessEntry } from '../../src/cli/start/processes.ts'
import { listProcesses } from '../../src/cli/start/processes.ts'

const ROOT = join(import.meta.dirname, '..', '..')
const COPIED = ['src', 'migrations', 'package.json', 'package-lock.json', 'wrangler.toml', 'tsconfig.json']
const READY_MS = 60_000

let folder: string
let port: number
const started: ChildProcess[] = []

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'osquery-edge-start-'))
  for (const name of COPIED) {
    await cp(join(ROOT, name), join(folder, name), { recursive: true, preserveTimestamps: true })
  }
  await symlink(join(ROOT, 'node_modules'), join(folder, 'node_modules'))
  port = await freePort()
})

afterAll(async () => {
  for (const npm of started) killGroup(npm, 'SIGKILL')
  await vi.waitFor(async () => expect(await leftovers()).toEqual([]), { timeout: 60_000 })
  await rm(folder, { recursive: true, force: true })
})

test('starts, stops in order, and goes on after a kill', { timeout: 4 * READY_MS }, async () => {
  const first = npmStart()
  await ready()
  const made = await localFiles()
  expect(made.operatorToken).toMatch(/^oeo_[\w-]{43}$/)
  expect(made.enrollSecret).toMatch(/^[\w-]{32,}$/)
  expect(made.flags).toContain(`--tls_hostname=localhost:${port}\n`)
  for (const name of ['operator-token', 'enroll_secret', 'secrets.env', 'server-key.pem']) {
    expect((await stat(join(folder, '.local', name))).mode & 0o077).toBe(0)
  }
  expect(await get('/api/v1/environments/default', made.operatorToken)).toBe(200)

  const second = npmStart()
  expect(await once(second, 'exit')).toEqual([1, null])

  killGroup(first, 'SIGINT')
  expect(await once(first, 'exit')).toEqual([0, null])
  expect(await leftovers()).toEqual([])

  const killed = npmStart()
  await ready()
  killGroup(killed, 'SIGKILL')
  await vi.waitFor(async () => expect(await leftovers()).toEqual([]), { timeout: 60_000 })

  const npmKilled = npmStart()
  await ready()
  npmKilled.kill('SIGKILL')
  await once(npmKilled, 'exit')

  const last = npmStart()
  await vi.waitFor(async () => expect(await isReadyUnder(last)).toBe(true), {
    timeout: READY_MS,
    interval: 200,
  })
  expect(await localFiles()).toEqual(made)
  expect(await get('/api/v1/environments/default', made.operatorToken)).toBe(200)
  killGroup(last, 'SIGINT')
  expect(await once(last, 'exit')).toEqual([0, null])
  expect(await leftovers()).toEqual([])
})

function npmStart(): ChildProcess {
  const npm = spawn('npm', ['start', '--silent', '--', '--port', String(port)], {
    cwd: folder,
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  started.push(npm)
  return npm
}

function killGroup(npm: ChildProcess, signal: NodeJS.Signals): void {
  if (npm.pid === undefined) return
  try {
    process.kill(-npm.pid, signal)
  } catch {
    // The group is gone.
  }
}

async function ready(): Promise<void> {
  await vi.waitFor(async () => expect(await get('/health')).toBe(200), { timeout: READY_MS, interval: 100 })
}

/** Ready, and it is this start that serves: the one before may still be ending. */
async function isReadyUnder(npm: ChildProcess): Promise<boolean> {
  const record: unknown = JSON.parse(await readFile(join(folder, '.local', 'run.json'), 'utf8'))
  const isOurs =
    typeof record === 'object' && record !== null && 'parentPid' in record && record.parentPid === npm.pid
  return isOurs && (await get('/health')) === 200
}

async function localFiles() {
  const read = (name: string): Promise<string> => readFile(join(folder, '.local', name), 'utf8')
  return {
    certificate: await read('server.pem'),
    enrollSecret: await read('enroll_secret'),
    operatorToken: await read('operator-token'),
    signingKeys: await read('secrets.env'),
    flags: await read('osquery.flags'),
  }
}

/** Everything that runs because of a start in the folder. */
async function leftovers(): Promise<ProcessEntry[]> {
  return (await listProcesses()).filter(
    ({ command }) => command.includes(folder) || command.includes(`start.ts --port ${port}`),
  )
}

async function get(path: string, token = ''): Promise<number | undefined> {
  const ca = await readFile(join(folder, '.local', 'server.pem'), 'utf8').catch(() => undefined)
  if (ca === undefined) return undefined
  return new Promise((resolve) => {
    const headers = { authorization: `Bearer ${token}` }
    request({ host: '127.0.0.1', port, path, ca, headers, agent: false }, (response) => {
      response.resume()
      resolve(response.statusCode)
    })
      .once('error', () => resolve(undefined))
      .end()
  })
}

async function freePort(): Promise<number> {
  const server = createServer()
  await once(server.listen(0, '127.0.0.1'), 'listening')
  const address = server.address()
  server.close()
  if (typeof address !== 'object' || address === null) throw new Error('no port')
  return address.port
}
