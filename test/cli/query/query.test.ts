/** `npm run query` against a real server, in this process. */

import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { CliFailure } from '../../../src/cli/failure.ts'
import { runQuery } from '../../../src/cli/query/run.ts'
import { OPERATOR_TOKEN, startServer, type TestServer } from '../../support/harness.ts'

let server: TestServer
let url: string
let root: string
const keys = new Map<string, string>()
beforeAll(async () => {
  server = await startServer()
  url = (await server.harness.listen()).url.origin
  root = await mkdtemp(join(tmpdir(), 'osquery-edge-query-'))
  await writeFile(join(root, 'token'), `${OPERATOR_TOKEN}\n`)
  for (const host of ['web-1', 'web-2', 'quiet']) keys.set(host, await server.enroll(host))
})
afterAll(async () => {
  await server.close()
  await rm(root, { recursive: true, force: true })
})

interface Run {
  code: Promise<number>
  /** What is on standard output and standard error so far. */
  out(): string
  err(): string
  /** Ctrl-C. */
  leave(): void
}

function query(...args: readonly string[]): Run {
  const pieces: Uint8Array[] = []
  const told: string[] = []
  const left = new AbortController()
  const access = ['--url', url, '--env', 'default', '--token-file', join(root, 'token')]
  const code = runQuery([...access, ...args], {
    write: async (piece) => void pieces.push(Buffer.from(piece)),
    tell: (line) => told.push(line),
    left: left.signal,
  }).catch((error: unknown) => {
    if (!(error instanceof CliFailure)) throw error
    told.push(error.message)
    return 1
  })
  return {
    code,
    out: () => Buffer.concat(pieces).toString(),
    err: () => told.join('\n'),
    leave: () => left.abort(),
  }
}

async function answer(host: string, sql: string, rows: object[], message = ''): Promise<void> {
  const id = await server.until(async () => {
    const reply = await server.agent('/api/osquery/distributed/read', { node_key: keys.get(host) })
    const { queries = {} } = reply.json<{ queries?: Record<string, string> }>()
    return Object.keys(queries).find((name) => queries[name] === sql)
  })
  const body = {
    queries: { [id]: rows },
    statuses: { [id]: message === '' ? 0 : 1 },
    messages: { [id]: message },
  }
  await server.agent('/api/osquery/distributed/write', { ...body, node_key: keys.get(host) })
}

const hosts = (...hostnames: string[]) => JSON.stringify({ hostnames })

describe('a query from the command line', () => {
  it('shows rows as a table while they come, and says how it ended', async () => {
    const sql = 'SELECT name FROM a'
    const run = query('--sql', sql, '--targets', hosts('web-1', 'web-2'))
    await answer('web-1', sql, [
      { name: 'nginx', port: '80' },
      { name: 'a\u001b[31mb', port: '' },
    ])
    await answer('web-2', sql, [], 'no such table: a')
    expect(await run.code).toBe(0)
    expect(run.out()).toBe(
      'node_hostname  name          port\nweb-1          nginx         80\nweb-1          a\\u001b[31mb\n',
    )
    expect(run.err()).toMatch(/^query [0-9a-f-]{36} for 2 nodes; Ctrl-C leaves it open\n/)
    expect(run.err()).toContain('\n1 failed: no such table: a\n')
    expect(run.err()).toMatch(/\ncomplete: 2 of 2 nodes answered, 1 failed$/)
  })

  it('is left open by Ctrl-C, and followed later: everything is shown, as lines for programs', async () => {
    const sql = 'SELECT name FROM b'
    const run = query('--sql', sql, '--targets', hosts('web-1', 'web-2'), '--json')
    await answer('web-1', sql, [{ name: 'one' }])
    await server.until(async () => run.out() !== '')
    run.leave()
    expect(await run.code).toBe(130)
    const id = /Go on with: --follow (\S+)$/.exec(run.err())?.[1] ?? ''
    const again = query('--follow', id, '--json')
    await answer('web-2', sql, [{ name: 'two' }])
    expect(await again.code).toBe(0)
    const rows = again
      .out()
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as { columns: object })
    expect(rows.map(({ columns }) => columns)).toEqual(
      expect.arrayContaining([{ name: 'one' }, { name: 'two' }]),
    )
    expect(rows).toHaveLength(2)
  })

  it('is opened and left at once with --no-watch; --export writes the whole file', async () => {
    const sql = 'SELECT name FROM c'
    const opened = query(
      '--sql',
      sql,
      '--targets',
      hosts('web-1'),
      '--no-watch',
      '--label',
      'mine',
      '--expires',
      '600',
    )
    expect(await opened.code).toBe(0)
    await answer('web-1', sql, [{ name: 'a,b' }])
    const run = query('--follow', opened.out().trim(), '--export', 'csv')
    expect(await run.code).toBe(0)
    expect(run.out()).toMatch(/^node_id,node_hostname,received_at,name\r\n[^,]+,web-1,[^,]+,"a,b"\r\n$/)
  })

  it.each([
    [['--sql', ' '], /^The server refuses \(422\): .*\n\/sql must not be blank$/s],
    [['--sql', 'SELECT 1', '--targets', '{"tags":["none"]}'], /\n\/targets\/tags\/0 /],
    [['--follow', '00000000-0000-4000-8000-000000000000'], /^The server refuses \(404\)/],
  ])('%j: says what the server refuses', async (args, said) => {
    const run = query(...args)
    expect(await run.code).toBe(1)
    expect(run.err()).toMatch(said)
    expect(run.out()).toBe('')
  })

  it.each([
    [[], '--sql or --follow'],
    [['--sql', 'x', '--follow', 'y'], '--sql or --follow'],
    [['--sql', 'x', '--targets', '{'], 'neither "all" nor JSON'],
    [['--sql', 'x', '--expires', 'soon'], 'whole number'],
    [['--sql', 'x', '--export', 'xml'], 'csv'],
  ])('%j: says how it is used', async (args, said) => {
    const run = query(...args)
    expect(await run.code).toBe(2)
    expect(run.err()).toContain(said)
  })

  it('says what there is with --help', async () => {
    const run = query('--help')
    expect(await run.code).toBe(0)
    expect(run.out()).toContain('--follow <id>')
  })
})
