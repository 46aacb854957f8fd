/**
 * Where the keys are kept: a file of this machine, of its owner alone. A deployment's Worker gets them as a secret, which
 * nobody can read back from there.
 */

import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'

import { CliFailure } from '../failure.ts'
import { LOCAL_FILES, ROOT } from '../start/local-paths.ts'
import { runWrangler } from '../wrangler.ts'
import type { KeysOptions } from './options.ts'

const OWNER_ONLY = 0o600
const LOCAL_PREFIX = 'SIGNING_KEYS='

export interface KeyStore {
  path: string
  /** The secret's text; undefined where there is none yet. */
  read(): Promise<string | undefined>
  /** Keeps it, and gives it to the Worker. Throws CliFailure, and what was there before stays then. */
  write(text: string): Promise<void>
  /** Whether a Worker has a secret that this file does not know of; undefined: that cannot be told. */
  isDeployed(): Promise<boolean | undefined>
  /** What is left to do for a change to take effect; empty: nothing. */
  afterwards: string
}

export function storeOf(place: KeysOptions['place']): KeyStore {
  return place.kind === 'local' ? localStore(place.state) : deploymentStore(place)
}

function localStore(state: string | undefined): KeyStore {
  const path = state === undefined ? LOCAL_FILES.secrets : join(resolve(state), 'local', 'secrets.env')
  return {
    path,
    async read() {
      const line = (await textOf(path))?.split('\n').find((one) => one.startsWith(LOCAL_PREFIX))
      return line?.slice(LOCAL_PREFIX.length).trim()
    },
    write: (text) => replace(path, `${LOCAL_PREFIX}${text}`),
    isDeployed: async () => false,
    afterwards: 'Start the server anew: it reads its keys when it starts.',
  }
}

function deploymentStore({ env, file }: { env: string; file: string }): KeyStore {
  const path = resolve(ROOT, file)
  return {
    path,
    read: async () => (await textOf(path))?.trim(),
    async write(text) {
      // First beside the old one, so that a failure between the two steps loses no key.
      const next = `${path}.next`
      await mkdir(dirname(path), { recursive: true })
      await writeFile(next, text, { mode: OWNER_ONLY })
      const put = runWrangler(['secret', 'put', 'SIGNING_KEYS', '--env', env], 'collect', text)
      if (!put.ok) {
        await rm(next)
        throw new CliFailure(`The secret could not be set; the keys stay as they were.\n${put.output}`)
      }
      await rename(next, path)
    },
    async isDeployed() {
      const list = runWrangler(['secret', 'list', '--env', env], 'collect')
      if (list.ok) return list.output.includes('SIGNING_KEYS')
      // Cloudflare's code for a Worker that is not there.
      return /\b10007\b/.test(list.output) ? false : undefined
    },
    afterwards: '',
  }
}

async function replace(path: string, text: string): Promise<void> {
  await mkdir(dirname(path), { recursive: true })
  await writeFile(`${path}.new`, text, { mode: OWNER_ONLY })
  await rename(`${path}.new`, path)
}

async function textOf(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8')
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined
    throw error
  }
}
