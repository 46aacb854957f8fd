/** Writes what `.local/` holds. Credentials are made once and kept; the flagfile follows the arguments of each start. */

import { randomBytes } from 'node:crypto'
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises'

import { osqueryFlags } from '../../fleet/flagfile.ts'
import { certificateFits, makeCertificate } from './certificate.ts'
import { LOCAL, LOCAL_FILES } from './local-paths.ts'
import type { StartOptions } from './options.ts'
import { certificateHosts, publicHost } from './options.ts'

const OWNER_ONLY = 0o600
const READABLE = 0o644
/** Seconds: somebody is looking. */
const QUICK = { configRefreshS: 60, loggerPeriodS: 10, distributedIntervalS: 10 }

export interface LocalCredentials {
  certificate: string
  enrollSecret: string
  operatorToken: string
}

export async function ensureLocalFiles(options: StartOptions): Promise<LocalCredentials> {
  await mkdir(LOCAL, { recursive: true })
  const certificate = await ensureCertificate(options)
  const enrollSecret = await ensureText(LOCAL_FILES.enrollSecret, /^[\w-]{32,}$/, () => randomText(32))
  const operatorToken = await ensureText(
    LOCAL_FILES.operatorToken,
    /^oeo_[\w-]{43}$/,
    () => `oeo_${randomText(32)}`,
  )
  await ensureText(LOCAL_FILES.secrets, /^SIGNING_KEYS=\{/, signingKeys)
  const flags = osqueryFlags({
    tlsHostname: `${publicHost(options)}:${options.port}`,
    certificatePath: LOCAL_FILES.certificate,
    enrollSecretPath: LOCAL_FILES.enrollSecret,
    ...QUICK,
  })
  await replaceFile(LOCAL_FILES.flagfile, flags, READABLE)
  return { certificate, enrollSecret, operatorToken }
}

async function ensureCertificate(options: StartOptions): Promise<string> {
  const hosts = certificateHosts(options)
  const kept = await readText(LOCAL_FILES.certificate)
  const keptKey = await readText(LOCAL_FILES.certificateKey)
  if (kept !== undefined && keptKey !== undefined && certificateFits(kept, keptKey, hosts)) return kept
  const made = await makeCertificate(hosts)
  await replaceFile(LOCAL_FILES.certificateKey, made.key, OWNER_ONLY)
  await replaceFile(LOCAL_FILES.certificate, made.certificate, READABLE)
  return made.certificate
}

/** Without a line end: programs read these files whole. */
async function ensureText(path: string, wanted: RegExp, make: () => string): Promise<string> {
  const kept = (await readText(path))?.trim()
  if (kept !== undefined && wanted.test(kept)) return kept
  const made = make()
  await replaceFile(path, made, OWNER_ONLY)
  return made
}

function signingKeys(): string {
  const keys = { current: 'k1', keys: { k1: randomBytes(32).toString('base64') } }
  return `SIGNING_KEYS=${JSON.stringify(keys)}`
}

function randomText(bytes: number): string {
  return randomBytes(bytes).toString('base64url')
}

/** By way of a second file, so that a start that is killed half-way leaves no half-written credential. */
async function replaceFile(path: string, text: string, mode: number): Promise<void> {
  await writeFile(`${path}.new`, text, { mode })
  await rename(`${path}.new`, path)
}

async function readText(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8')
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined
    throw error
  }
}
