import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { runConfig } from '../../../src/cli/config/run.ts'
import { CliFailure } from '../../../src/cli/failure.ts'
import { OPERATOR_TOKEN, startServer, type TestServer } from '../../support/harness.ts'
import { enrollHost } from '../../support/operator.ts'

let server: TestServer
let folder: string
let access: string[]

beforeAll(async () => {
  server = await startServer()
  const { url } = await server.harness.listen()
  folder = await mkdtemp(join(tmpdir(), 'osquery-edge-rollout-'))
  await writeFile(join(folder, 'token'), OPERATOR_TOKEN)
  access = ['--url', url.origin, '--env', 'default', '--token-file', join(folder, 'token')]
  for (const name of ['web-1', 'web-2']) await enrollHost(server, name)
})
afterAll(async () => {
  await server.close()
  await rm(folder, { recursive: true, force: true })
})

/** What the command prints; what it fails with. */
async function config(...args: readonly string[]): Promise<string> {
  const out: string[] = []
  const print = (line: string) => void out.push(line)
  await runConfig([...args, ...access], { print, printError: print }).catch((error: unknown) => {
    if (!(error instanceof CliFailure)) throw error
    out.push(error.message)
  })
  return out.join('\n')
}

describe('npm run config', () => {
  it('rolls a directory out, says where it is, moves it and takes it back', async () => {
    expect(await config('rollback')).toBe('There is no rollout.')
    await writeFile(join(folder, 'config.yaml'), 'options: {distributed_interval: 20}\n')
    const applied = await config('apply', folder, '--canary', 'web-2')
    expect(applied).toMatch(/version 2: live\nrollout \S+ is running$/)
    const status = await config('status')
    expect(status).toMatch(/^version 1 is what nodes get/)
    expect(status).toMatch(
      /version 2 over version 1 is running\n {2}step 1 of 2 \(0 %\), \d+ of 1800 s, 1 members/,
    )
    expect(status).toContain('documentReceived: ')
    expect(await config('rollout', 'advance')).toMatch(/step 2 of 2 \(50 %\), \d+ of 3600 s, 2 members/)
    expect(await config('rollout', 'pause')).toContain(' is paused')
    expect(await config('rollout', 'pause')).toContain('The server refuses (409): the rollout is paused')
    await writeFile(join(folder, 'config.yaml'), 'options: {distributed_interval: 30}\n')
    expect(await config('apply', folder)).toMatch(
      /The server refuses \(409\): rollout \S+ of version 2 is paused/,
    )
    const back = await config('rollback')
    expect(back).toContain(' is rolled-back')
    expect(back).toContain('who get it no more\n  by operator\n  nodes that had it are told the defaults')
    expect(JSON.parse(await config('status', '--json'))).toMatchObject({
      holders: { stableVersion: 1, nodes: 2 },
      rollout: { state: 'rolled-back' },
    })
  })

  it('exports what nodes get, not what was taken back', async () => {
    expect(await config('export', folder, '--force')).toContain('version 1: exported')
  })
})
