import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { expect, test, vi } from 'vitest'

import { listProcesses } from '../../src/cli/start/processes.ts'

async function groupSize(groupId: number): Promise<number> {
  return (await listProcesses()).filter((entry) => entry.groupId === groupId).length
}

test('the whole group of a guarded process ends with a starter that is killed', async () => {
  const starter = spawn(process.execPath, ['--no-warnings', join(import.meta.dirname, 'starter.ts')], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const [printed] = await once(starter.stdout, 'data')
  const groupId = Number(String(printed))
  await vi.waitFor(async () => expect(await groupSize(groupId)).toBe(2), { timeout: 60_000 })
  starter.kill('SIGKILL')
  await vi.waitFor(async () => expect(await groupSize(groupId)).toBe(0), { timeout: 60_000 })
})

test('processes are listed with parent, group and command', async () => {
  const own = (await listProcesses()).find(({ pid }) => pid === process.pid)
  expect(own).toMatchObject({ parentPid: process.ppid, command: expect.stringContaining('node') })
})
