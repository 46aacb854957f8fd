/** The self-signed certificate of the local server: made, and judged whether a kept one will still do. */

import { X509Certificate, createPrivateKey } from 'node:crypto'

import { generate } from 'selfsigned'

const DAY_MS = 86_400_000
// macOS refuses server certificates of more than 825 days.
const VALID_DAYS = 820
const RENEW_BEFORE_DAYS = 30

export interface CertificateHosts {
  names: string[]
  ips: string[]
}

/**
 * No CA and no key usage: the certificate is trusted by being named itself (curl --cacert, Node's `ca`, osquery's
 * --tls_server_certs), some verifiers refuse a CA as a server, and some a self-signed one that may not sign.
 */
export async function makeCertificate(
  hosts: CertificateHosts,
): Promise<{ certificate: string; key: string }> {
  const made = await generate([{ name: 'commonName', value: 'osquery-edge on this machine' }], {
    keyType: 'ec',
    curve: 'P-256',
    algorithm: 'sha256',
    notAfterDate: new Date(Date.now() + VALID_DAYS * DAY_MS),
    extensions: [
      { name: 'basicConstraints', cA: false, critical: true },
      { name: 'extKeyUsage', serverAuth: true },
      {
        name: 'subjectAltName',
        altNames: [
          ...hosts.names.map((value) => ({ type: 2 as const, value })),
          ...hosts.ips.map((ip) => ({ type: 7 as const, ip })),
        ],
      },
    ],
  })
  return { certificate: made.cert, key: made.private }
}

export function certificateFits(certificate: string, key: string, hosts: CertificateHosts): boolean {
  try {
    const parsed = new X509Certificate(certificate)
    return (
      parsed.checkPrivateKey(createPrivateKey(key)) &&
      parsed.validToDate.getTime() > Date.now() + RENEW_BEFORE_DAYS * DAY_MS &&
      hosts.names.every((name) => parsed.checkHost(name) !== undefined) &&
      hosts.ips.every((ip) => parsed.checkIP(ip) !== undefined)
    )
  } catch {
    // Not PEM, or cut off: make a new one.
    return false
  }
}
