/** What `npm start` has left in `.local/`: there, readable by whom it should be, complete. */

import { readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'

import { flagfileFaults, parseFlagfile } from './flagfile.ts'
import { expect } from './report.ts'

/** For the owner alone: whoever reads them is an agent, an operator or the server. */
const SECRET_FILES = ['enroll_secret', 'operator-token', 'server-key.pem', 'secrets.env']
const OPEN_FILES = ['server.pem', 'osquery.flags']

const OTHERS = 0o077
const READABLE_BY_ALL = 0o444

export interface LocalAccess {
  url: string
  certificate: string
  enrollSecret: string
  operatorToken: string
  flags: Record<string, string>
  paths: { certificate: string; enrollSecret: string }
}

/** Reads what an agent and an operator need; fails the step where a file is not as it must be. */
export async function readLocalFiles(folder: string): Promise<LocalAccess> {
  const local = join(folder, '.local')
  for (const name of SECRET_FILES) {
    const { mode } = await stat(join(local, name))
    expect((mode & OTHERS) === 0, `.local/${name} can be read by others (mode ${(mode & 0o777).toString(8)})`)
  }
  for (const name of OPEN_FILES) {
    const { mode } = await stat(join(local, name))
    expect((mode & READABLE_BY_ALL) === READABLE_BY_ALL, `.local/${name} cannot be read by the agent's user`)
  }
  const flags = parseFlagfile(await readText(join(local, 'osquery.flags')))
  const faults = flagfileFaults(flags)
  expect(faults.length === 0, `osquery.flags: ${faults.join(', ')}`)
  // By the flagfile's own paths: a wrong one would leave a real agent without certificate or secret.
  const paths = { certificate: flags.tls_server_certs ?? '', enrollSecret: flags.enroll_secret_path ?? '' }
  return {
    url: `https://${flags.tls_hostname}`,
    certificate: await readText(paths.certificate),
    enrollSecret: await readText(paths.enrollSecret),
    operatorToken: await readText(join(local, 'operator-token')),
    flags,
    paths,
  }
}

/** The texts that must be the same after a restart. */
export function lasting({ certificate, enrollSecret, operatorToken }: LocalAccess): Record<string, string> {
  return { 'server.pem': certificate, enroll_secret: enrollSecret, 'operator-token': operatorToken }
}

function readText(path: string): Promise<string> {
  return readFile(path, 'utf8')
}
