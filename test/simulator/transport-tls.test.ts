import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { generate } from 'selfsigned'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { Transport } from '../../src/simulator/transport.ts'

const OPTIONS = { timeoutMs: 5_000, keepAlive: false, transparentResend: true }

let ca = ''
let url = ''
let connections = 0
let server: ReturnType<typeof createServer>

beforeAll(async () => {
  const pems = await generate([{ name: 'commonName', value: 'localhost' }], {
    extensions: [{ name: 'subjectAltName', altNames: [{ type: 2, value: 'localhost' }] }],
  })
  ca = pems.cert
  server = createServer({ key: pems.private, cert: pems.cert }, (_, response) => response.end('{}'))
  server.on('secureConnection', () => {
    connections += 1
  })
  await new Promise<void>((resolve) => server.listen(0, 'localhost', resolve))
  url = `https://localhost:${(server.address() as AddressInfo).port}/config`
})
afterAll(() => {
  server.closeAllConnections()
  server.close()
})

async function post(transport: Transport): Promise<string> {
  const reply = await transport.post(url, {}, Buffer.from('{}'))
  return reply.kind === 'reply' ? Buffer.from(reply.body).toString() : reply.reason
}

describe('over TLS', () => {
  it('a self-signed certificate is trusted when it is given, and only then', async () => {
    expect(await post(new Transport({ ...OPTIONS, ca }))).toBe('{}')
    expect(await post(new Transport(OPTIONS))).toContain('self-signed')
  })

  it.each([
    [false, 3],
    [true, 1],
  ])('with keepAlive %s three requests make %d connections', async (keepAlive, expected) => {
    connections = 0
    const transport = new Transport({ ...OPTIONS, ca, keepAlive })
    for (let i = 0; i < 3; i += 1) expect(await post(transport)).toBe('{}')
    transport.close()
    expect(connections).toBe(expected)
  })
})
