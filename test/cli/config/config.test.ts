import { spawnSync } from 'node:child_process'
import { mkdtemp, mkdir, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { runConfig } from '../../../src/cli/config/run.ts'
import { CliFailure } from '../../../src/cli/failure.ts'
import { OPERATOR_TOKEN, startServer, type TestServer } from '../../support/harness.ts'
import { created } from '../../support/operator.ts'

let server: TestServer
let url: string
/** Of this file; each test has a folder of its own inside. */
let root: string
let folder: string

beforeAll(async () => {
  server = await startServer()
  url = (await server.harness.listen()).url.origin
  root = await mkdtemp(join(tmpdir(), 'osquery-edge-config-'))
  await writeFile(join(root, 'token'), `${OPERATOR_TOKEN}\n`)
})
afterAll(async () => {
  await server.close()
  await rm(root, { recursive: true, force: true })
})
beforeEach(async () => {
  folder = await mkdtemp(join(root, 'test-'))
})

interface Outcome {
  code: number
  out: string
  err: string
}

/** The command in this process; what it fails with comes as runCommand shows it. */
async function config(...args: readonly string[]): Promise<Outcome> {
  const out: string[] = []
  const err: string[] = []
  const output = { print: (line: string) => out.push(line), printError: (line: string) => err.push(line) }
  const code = await runConfig(args, output).catch((error: unknown) => {
    if (!(error instanceof CliFailure)) throw error
    err.push(`\n${error.message}`)
    return 1
  })
  const textOf = (lines: readonly string[]) => lines.map((line) => `${line}\n`).join('')
  return { code, out: textOf(out), err: textOf(err) }
}

function onServer(command: string, ...more: readonly string[]): Promise<Outcome> {
  const access = ['--url', url, '--env', 'default', '--token-file', join(root, 'token')]
  return config(command, folder, ...access, ...more)
}

async function write(files: Record<string, string>): Promise<void> {
  for (const [path, content] of Object.entries(files)) {
    await mkdir(dirname(join(folder, path)), { recursive: true })
    await writeFile(join(folder, path), content)
  }
}

const PACK = `# The pack as its author keeps it
{
  "platform": "linux",
  "queries": {
    "users ": {"query": "SELECT \\
      * FROM users", "interval": "60", "removed": false, "denylist": false, "value": "kept"}
  }
}
`
const FILES = {
  'config.yaml': '# ours\noptions:\n  distributed_interval: 10\n',
  'packs/it.conf': PACK,
  'layers/10-canary.yaml': 'match: {tag: canary}\ndocument:\n  options: {verbose: true}\n',
  'README.md': 'not ours',
}

describe('npm run config -- validate', () => {
  it('asks no server', async () => {
    await write(FILES)
    const { code, out, err } = await config('validate', folder)
    expect({ code, out }).toEqual({ code: 0, out: 'valid, with 1 layers and 0 warnings\n' })
    expect(err).toBe('')
  })

  it('names file, line, path and rule of everything that is refused', async () => {
    await write({
      'config.yaml': 'schedule:\n  a:\n    query: SELECT 1\n    interval: 0\n',
      'packs/it.conf': '{\n# c\n"queries": {\n"cache.users": {"query": "SELECT 1"}}}',
    })
    expect(await config('validate', folder)).toEqual({
      code: 1,
      out: '',
      err:
        'config.yaml:4: error: /schedule/a/interval must be an integer from 1 to 604800\n' +
        'packs/it.conf:4: error: /queries/cache.users agents reject names that begin with query., cache., config_views. or end in epoch, counter\n',
    })
  })

  it('says the same to programs', async () => {
    await write({ 'config.yaml': 'a: [\n' })
    const { code, out } = await config('validate', folder, '--json')
    expect({ code, reply: JSON.parse(out) as unknown }).toMatchObject({
      code: 1,
      reply: { result: 'refused', errors: [{ file: 'config.yaml', pointer: '', line: 2 }] },
    })
  })

  it('refuses links, which would be missing without a word', async () => {
    await write(FILES)
    await symlink(join(folder, 'packs/it.conf'), join(folder, 'packs/other.conf'))
    expect(await config('validate', folder)).toMatchObject({
      code: 1,
      err: 'packs/other.conf: error: is a symbolic link: put the file itself here\n',
    })
  })

  it('refuses what is not UTF-8', async () => {
    await write({ 'config.yaml': '{}' })
    await mkdir(join(folder, 'packs'))
    await writeFile(join(folder, 'packs', 'a.conf'), new Uint8Array([0x7b, 0xff, 0x7d]))
    expect(await config('validate', folder)).toMatchObject({
      code: 1,
      err: 'packs/a.conf: error: is not UTF-8\n',
    })
  })
})

describe('npm run config -- plan, apply, export', () => {
  it('say what changes, change it, and then nothing more', async () => {
    await write(FILES)
    const plan = await onServer('plan')
    expect(plan).toMatchObject({ code: 0, err: '' })
    expect(plan.out.split('\n')).toEqual([
      '+ pack it',
      '+ query it users ',
      '+ layer canary',
      '- query uptime',
      'option: 0 created, 0 updated, 1 unchanged, 0 deleted',
      'query: 1 created, 0 updated, 0 unchanged, 1 deleted',
      'pack: 1 created, 0 updated, 0 unchanged, 0 deleted',
      'layer: 1 created, 0 updated, 0 unchanged, 0 deleted',
      'layer canary: 0 nodes now',
      'would follow version 1',
      '',
    ])
    expect((await onServer('apply', '--message', 'from files')).out).toContain('version 2: live')
    expect((await onServer('apply')).out).toContain('version 2: unchanged')
    expect((await onServer('plan')).out).toContain('unchanged: version 2 says the same')
    const { text: document } = await server.operator('GET', '/environments/default/configuration')
    expect(document).toBe(
      '{"options":{"distributed_interval":10},"packs":{"it":{"platform":"linux","queries":{"users ":' +
        '{"query":"SELECT       * FROM users","interval":"60","removed":false,"denylist":false,"value":"kept"}}}}}',
    )
  })

  it('say what agents keep of what is taken out', async () => {
    await write({ 'config.yaml': 'options: {verbose: true, host_identifier: uuid}\n' })
    await onServer('apply')
    await write({ 'config.yaml': '{}' })
    const { out } = await onServer('plan')
    expect(out).toContain("taken out: /options/verbose; agents get false instead, osquery's default\n")
    expect(out).toContain(
      'taken out: /options/host_identifier; lasts until restart: agents read it when they start\n',
    )
  })

  it('leave files as they are that say the same already', async () => {
    await write(FILES)
    await onServer('apply')
    expect((await onServer('export')).out).toContain('unchanged')
    expect(await readFile(join(folder, 'packs/it.conf'), 'utf8')).toBe(PACK)
  })

  it('write what apply takes for unchanged', async () => {
    const document = '{"packs":{"z/":{"queries":{}},"a":{}},"options":{"x":1.0e2}}'
      .replace('"x":1.0e2', '"verbose":true')
      .replace('{"queries":{}}', '{"queries":{"q":{"query":"SELECT 1\\nFROM x","version":"\\u0041"}}}')
    const body = `{"document":${document},"layers":[{"name":"l","match":{"tag":"t"},"document":{"n":1.0e2}}]}`
    created(await server.operator('POST', '/environments/default/configuration/apply', body), 200)
    expect((await onServer('export')).code).toBe(0)
    const names = await readdir(folder, { recursive: true })
    expect(names.toSorted()).toEqual([
      'config.yaml',
      'layers',
      'layers/01-l.json',
      'packs',
      'packs/a.json',
      'packs/z%2F.json',
    ])
    expect((await onServer('apply')).out).toMatch(/unchanged\n$/)
  })

  it('do not overwrite what says something else unless told to', async () => {
    await write(FILES)
    await onServer('apply')
    await write({ 'packs/new.json': '{"queries":{}}', 'config.yaml': '{}' })
    const refused = await onServer('export')
    expect(refused.code).toBe(1)
    expect(refused.err).toContain('packs/new.json')
    expect(await readFile(join(folder, 'config.yaml'), 'utf8')).toBe('{}')
    expect((await onServer('export', '--force')).code).toBe(0)
    expect((await onServer('apply')).out).toMatch(/unchanged\n$/)
    expect(await readFile(join(folder, 'README.md'), 'utf8')).toBe('not ours')
  })

  it('give what only the server knows its place in the files', async () => {
    await write({ ...FILES, 'layers/20-few.yaml': 'document: {}\nmatch:\n  nodeSet: none\n' })
    expect(await onServer('apply')).toEqual({
      code: 1,
      out: '',
      err: 'layers/20-few.yaml:3: error: /match/nodeSet there is no such node set in this environment\n',
    })
  })

  it('store nothing over a version that was not expected', async () => {
    await write({ 'config.yaml': 'options: {verbose: true}\n' })
    const { code, err } = await onServer('apply', '--expected-version', '1')
    expect({ code, err }).toEqual({ code: 1, err: expect.stringMatching(/refuses \(409\)/) as string })
  })

  it('say what is wrong with the server, the environment or the token', async () => {
    await write(FILES)
    const there = ['--token-file', join(root, 'token')]
    expect(await config('plan', folder, '--url', url, '--env', 'none', ...there)).toMatchObject({
      code: 1,
      err: '\nThe server refuses (404): There is no such environment.\n',
    })
    const nobody = await config('plan', folder, '--url', 'http://127.0.0.1:9', '--env', 'default', ...there)
    expect(nobody).toMatchObject({ code: 1, err: expect.stringContaining('does not answer') as string })
    const noFile = await config(
      'plan',
      folder,
      '--url',
      url,
      '--env',
      'a',
      '--token-file',
      join(root, 'none'),
    )
    expect(noFile).toMatchObject({ code: 1, err: expect.stringContaining('--token-file') as string })
  })
})

it('its exit code is that of the process', async () => {
  await write({ 'config.yaml': '[]' })
  const run = spawnSync(process.execPath, ['src/cli/config.ts', 'validate', folder], { encoding: 'utf8' })
  expect({ code: run.status, err: run.stderr }).toEqual({
    code: 1,
    err: 'config.yaml:1: error: must be an object\n',
  })
})

describe('arguments that are not understood', () => {
  it.each([
    [[]],
    [['publish', 'x']],
    [['validate']],
    [['plan', 'x', '--env', 'a', '--token-file', 'b']],
    [['plan', 'x', '--url', 'http://example.com', '--env', 'a', '--token-file', 'b']],
    [['apply', 'x', '--url', 'https://a', '--env', 'a', '--token-file', 'b', '--expected-version', '0']],
  ])('%j end with code 2', async (args) => {
    const { code, err } = await config(...args)
    expect({ code, isSaid: err.length > 0 }).toEqual({ code: 2, isSaid: true })
  })
})

describe('intervals.yaml', () => {
  const INTERVALS = 'config_tls_refresh: 600\ndistributed_interval: 120\nlogger_tls_period: 300\n'
  const LAYERED = `${INTERVALS}layers:\n  canary:\n    distributed_interval: 30\n`

  it('is planned and applied with the version, exported, and unchanged afterwards', async () => {
    await write({ ...FILES, 'intervals.yaml': LAYERED })
    expect((await onServer('plan')).out).toContain('intervals: updated\n')
    expect((await onServer('apply')).out).toContain('intervals: updated\n')
    expect((await server.operator('GET', '/environments/default/intervals')).json()).toMatchObject({
      managed: true,
      config_tls_refresh: 600,
      layers: { canary: { distributed_interval: 30 } },
    })
    expect((await onServer('apply')).out).toContain('intervals: unchanged\n')
    await rm(join(folder, 'intervals.yaml'))
    expect((await onServer('apply')).out).not.toContain('intervals')
    expect((await onServer('export', '--force')).code).toBe(0)
    expect(await readFile(join(folder, 'intervals.yaml'), 'utf8')).toBe(LAYERED)
    expect((await onServer('apply')).out).toContain('intervals: unchanged\n')
  })

  it('does not name a layer that is gone, though the server remembers its intervals', async () => {
    await write({ ...FILES, 'intervals.yaml': LAYERED })
    await onServer('apply')
    await rm(join(folder, 'layers/10-canary.yaml'))
    await rm(join(folder, 'intervals.yaml'))
    await onServer('apply')
    expect((await onServer('export', '--force')).code).toBe(0)
    expect(await readFile(join(folder, 'intervals.yaml'), 'utf8')).toBe(INTERVALS)
    expect((await onServer('apply')).out).toContain('intervals: unchanged\n')
    // It counts again when the layer is back.
    await rm(folder, { recursive: true })
    await write({ ...FILES, 'intervals.yaml': INTERVALS })
    expect((await onServer('plan')).out).toContain('intervals: updated\n')
    expect((await onServer('apply')).out).toContain('intervals: updated\n')
  })

  it('is told of by apply where the files win over it: only the server knows', async () => {
    await write({ ...FILES, 'intervals.yaml': INTERVALS })
    await onServer('apply')
    const warning =
      'config.yaml:3: warning: /options/distributed_interval the base says 10: that wins over the managed interval, ' +
      'and is not spread\n'
    await write({ 'config.yaml': `${FILES['config.yaml']}schedule: {}\n` })
    expect((await onServer('plan')).err).toBe(warning)
    expect((await onServer('apply')).err).toBe(warning)
  })

  it('changes alone, and ends what was managed', async () => {
    await write({ ...FILES, 'intervals.yaml': INTERVALS })
    await onServer('apply')
    await write({ 'intervals.yaml': '{}\n' })
    const { out } = await onServer('apply')
    expect(out).toContain('intervals: updated\n')
    expect(out).toContain(': unchanged\n')
    expect((await server.operator('GET', '/environments/default/intervals')).json()).toMatchObject({
      managed: false,
    })
    expect((await onServer('export')).out).toContain('unchanged')
  })

  it('is refused with its line and rule, by validate and by the server', async () => {
    await write({ ...FILES, 'intervals.yaml': `${INTERVALS.replace('120', '2')}layers: {nobody: {}}\n` })
    const { code, err } = await config('validate', folder)
    expect({ code, err }).toEqual({
      code: 1,
      err:
        'intervals.yaml:2: error: /distributed_interval must be whole seconds from 5 to 86400\n' +
        'intervals.yaml:4: error: /layers/nobody there is no such layer\n',
    })
    const body = { document: {}, layers: [], intervals: { distributed_interval: 2 } }
    const reply = await server.operator('POST', '/environments/default/configuration/apply', body)
    expect(reply.json<{ errors: { pointer: string }[] }>().errors.map(({ pointer }) => pointer)).toEqual([
      '/intervals/distributed_interval',
      '/intervals/config_tls_refresh',
      '/intervals/logger_tls_period',
    ])
  })
})
