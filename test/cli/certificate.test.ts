import { X509Certificate } from 'node:crypto'
import { once } from 'node:events'
import { createServer, request } from 'node:https'
import { expect, test } from 'vitest'

import { certificateFits, makeCertificate } from '../../src/cli/start/certificate.ts'

const hosts = { names: ['localhost', 'my-laptop.example'], ips: ['127.0.0.1', '::1'] }

test('a made certificate is good for its hosts, and for no others', async () => {
  const { certificate, key } = await makeCertificate(hosts)
  expect(certificateFits(certificate, key, hosts)).toBe(true)
  expect(certificateFits(certificate, key, { ...hosts, ips: ['192.0.2.7'] })).toBe(false)
  expect(certificateFits(certificate, key, { ...hosts, names: ['other.example'] })).toBe(false)
})

test('it is an elliptic curve certificate and no CA', async () => {
  const parsed = new X509Certificate((await makeCertificate(hosts)).certificate)
  expect(parsed.publicKey.asymmetricKeyDetails).toMatchObject({ namedCurve: 'prime256v1' })
  expect(parsed.ca).toBe(false)
})

test("a key of another certificate, and what is no certificate, don't fit", async () => {
  const one = await makeCertificate(hosts)
  const other = await makeCertificate(hosts)
  expect(certificateFits(one.certificate, other.key, hosts)).toBe(false)
  expect(certificateFits('', '', hosts)).toBe(false)
  expect(certificateFits(one.certificate.slice(0, 200), one.key, hosts)).toBe(false)
})

test('a client that is given the certificate alone trusts the server', async () => {
  const { certificate, key } = await makeCertificate(hosts)
  const server = createServer({ cert: certificate, key }, (_, response) => response.end('trusted'))
  await once(server.listen(0, '127.0.0.1'), 'listening')
  const address = server.address()
  const port = typeof address === 'object' && address !== null ? address.port : 0
  const asked = request({ host: '127.0.0.1', port, ca: certificate, agent: false })
  asked.end()
  const [response] = await once(asked, 'response')
  expect(response.statusCode).toBe(200)
  response.resume()
  server.close()
})
