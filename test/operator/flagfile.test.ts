/** The flagfile: options that agents take from the command line only are in it, and in no document. */

import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { startServer, type TestServer } from '../support/harness.ts'
import { created, enrollHost, makeEnvironment, problemOf } from '../support/operator.ts'

let server: TestServer
beforeAll(async () => {
  server = await startServer()
})
afterAll(() => server.close())

async function linesOf(path: string): Promise<string[]> {
  const reply = await server.operator('GET', path)
  expect(reply.status).toBe(200)
  return reply.text.trimEnd().split('\n')
}

describe('GET …/flagfile', () => {
  it('names this server, osquery’s own paths, and every endpoint', async () => {
    await makeEnvironment(server, 'flags')
    const lines = await linesOf('/environments/flags/flagfile?platform=darwin&hostname=fleet.example.org')
    expect(lines).toContain('--tls_hostname=fleet.example.org')
    expect(lines).toContain('--enroll_secret_path=/var/osquery/enroll_secret')
    expect(lines).toContain('--carver_continue_endpoint=/api/osquery/carve/block')
    expect(lines.some((line) => line.startsWith('--tls_server_certs'))).toBe(false)
  })

  it('carries what a configuration says of the command line, by platform; the document does not', async () => {
    const { secret } = await makeEnvironment(server, 'apart')
    const put = await server.operator('PUT', '/environments/apart/configuration', {
      options: { watchdog_level: 1, verbose: true },
    })
    expect(created<{ warnings: object[] }>(put, 200).warnings).toMatchObject([
      { pointer: '/options/watchdog_level', detail: expect.stringContaining('flagfile') as string },
    ])
    const layer = {
      match: { platform: 'linux' },
      document: { options: { watchdog_level: 0, tls_session_timeout: 60 } },
    }
    created(await server.operator('PUT', '/environments/apart/configuration/layers/linux', layer), 200)
    const linux = await linesOf('/environments/apart/flagfile')
    expect(linux).toContain('--watchdog_level=0')
    expect(linux).toContain('--tls_session_timeout=60')
    const windows = await linesOf('/environments/apart/flagfile?platform=windows')
    expect(windows).toContain('--watchdog_level=1')
    expect(windows).not.toContain('--tls_session_timeout=60')
    const node_key = await enrollHost(server, 'apart-1', { secret })
    const { text } = await server.agent('/api/osquery/config', { node_key })
    expect(text).toContain('"verbose":true')
    expect(text).not.toContain('watchdog_level')
    expect(text).not.toContain('tls_session_timeout')
  })

  it.each([
    ['platform=beos', 'platform'],
    ['hostname=a%0A--config_plugin=x', 'hostname'],
    ['hostname=https://fleet.example.org', 'hostname'],
    ['secretPath=/a%0A--config_plugin=x', 'secretPath'],
  ])('%s is refused with its place', async (query, pointer) => {
    const reply = await server.operator('GET', `/environments/flags/flagfile?${query}`)
    expect(problemOf(reply)).toEqual({ status: 422, pointers: [pointer] })
  })
})

describe('a configuration', () => {
  it('with a line break in such an option is refused: it would begin another flag', async () => {
    await makeEnvironment(server, 'breaks')
    const put = await server.operator('PUT', '/environments/breaks/configuration', {
      options: { tls_hostname: 'a\n--config_plugin=filesystem' },
    })
    expect(problemOf(put)).toEqual({ status: 422, pointers: ['/options/tls_hostname'] })
  })
})
