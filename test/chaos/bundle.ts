/**
 * The chaos entry, bundled by wrangler around the sources of this folder or of an earlier version. The earlier one is taken
 * out of git into a folder of its own, gets the same node_modules and this chaos entry, and is then a Worker like ours.
 */

import { execFile } from 'node:child_process'
import { cpSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import process from 'node:process'
import { promisify } from 'node:util'
import { unstable_getMiniflareWorkerOptions, unstable_readConfig } from 'wrangler'
import { WRANGLER, wranglerQuietly } from '../../src/cli/wrangler.ts'

const ROOT = join(import.meta.dirname, '..', '..')
const ENTRY = join('test', 'chaos', 'worker')
/** Commits that are looked at for one that differs. */
const MAX_COMMITS = 50
/** A tree of sources comes to a few MiB. */
const MAX_ARCHIVE_BYTES = 256 * 1_024 * 1_024

const run = promisify(execFile)

/** A built Worker: its one module, and what wrangler.toml says of it. */
export interface Bundle {
  /** For people: a commit, or what stands for one. */
  readonly version: string
  readonly folder: string
  readonly module: string
  readonly options: WorkerOptions
}

/** The part of Miniflare's options for a Worker that is used by name. */
export interface WorkerOptions extends Record<string, unknown> {
  readonly bindings: Readonly<Record<string, unknown>>
  readonly durableObjects: Readonly<Record<string, { readonly className: string }>>
}

/** Builds the working tree into `folder`. */
export function buildPresent(folder: string): Promise<Bundle> {
  return build(ROOT, join(folder, 'new'), 'the working tree')
}

/**
 * Builds the version before: `ref` of git, else the newest release or commit whose Worker differs and has the same objects.
 * Where there is none (no history), the working tree stands in for it, as a second build.
 */
export async function buildPrevious(folder: string, ref: string | undefined): Promise<Bundle> {
  const chosen = ref ?? (await previousRef())
  if (chosen === undefined)
    return build(ROOT, join(folder, 'old'), 'the working tree once more, for want of history')
  const tree = join(folder, 'tree')
  mkdirSync(tree, { recursive: true })
  const paths = ['src', 'wrangler.toml', 'package.json']
  const archive = join(folder, 'previous.tar')
  await git(['archive', '--format=tar', `--output=${archive}`, chosen, ...paths])
  await run('tar', ['-xf', archive, '-C', tree])
  symlinkSync(join(ROOT, 'node_modules'), join(tree, 'node_modules'))
  cpSync(join(ROOT, ENTRY), join(tree, ENTRY), { recursive: true })
  const named = await git(['log', '-1', '--format=%h', chosen])
  return build(tree, join(folder, 'old'), `${chosen === named ? '' : `${chosen}, `}commit ${named}`)
}

async function build(root: string, folder: string, version: string): Promise<Bundle> {
  mkdirSync(folder, { recursive: true })
  const derived = join(root, '.wrangler', 'test', 'chaos.toml')
  mkdirSync(dirname(derived), { recursive: true })
  const main = JSON.stringify(join(root, ENTRY, 'entry.ts'))
  const config = readFileSync(join(root, 'wrangler.toml'), 'utf8')
  writeFileSync(derived, config.replace('main = "src/index.ts"', `main = ${main}`))
  const args = ['--no-warnings', WRANGLER, 'deploy', '--dry-run', '--config', derived, '--outdir', folder]
  try {
    await run(process.execPath, args, { cwd: root, env: wranglerQuietly() })
  } catch (error) {
    const { stdout = '', stderr = '' } = error as { stdout?: string; stderr?: string }
    throw new Error(`${version} could not be built:\n${stdout}${stderr}`, { cause: error })
  }
  const { workerOptions } = unstable_getMiniflareWorkerOptions(
    unstable_readConfig({ config: derived }, { hideWarnings: true }),
  )
  return {
    version,
    folder,
    module: join(folder, 'entry.js'),
    options: workerOptions as unknown as WorkerOptions,
  }
}

/** The newest tag, else the newest commit, that differs from the working tree in what ends in the bundle. */
async function previousRef(): Promise<string | undefined> {
  const refs = [
    ...(await lines(['tag', '--sort=-creatordate', '--merged', 'HEAD'])),
    ...(await lines(['rev-list', `--max-count=${MAX_COMMITS}`, '--abbrev-commit', 'HEAD', '--', 'src'])),
  ]
  for (const ref of refs) if ((await differs(ref)) && (await hasSameObjects(ref))) return ref
  return undefined
}

async function differs(ref: string): Promise<boolean> {
  const paths = ['src', ':!src/simulator', ':!src/cli']
  return (await gitStatus(['diff', '--quiet', ref, '--', ...paths])) === 1
}

async function hasSameObjects(ref: string): Promise<boolean> {
  const classes = (toml: string) =>
    [...new Set([...toml.matchAll(/class_name = "(\w+)"/g)].map((match) => match[1] ?? ''))]
      .toSorted(byText)
      .join()
  const before = await git(['show', `${ref}:wrangler.toml`])
  return classes(before) === classes(readFileSync(join(ROOT, 'wrangler.toml'), 'utf8'))
}

function byText(a: string, b: string): number {
  return a < b ? -1 : 1
}

async function lines(args: readonly string[]): Promise<string[]> {
  try {
    return (await git(args)).split('\n').filter((line) => line !== '')
  } catch {
    // No git, or no repository: there is no history then.
    return []
  }
}

async function git(args: readonly string[]): Promise<string> {
  const { stdout } = await run('git', args, { cwd: ROOT, maxBuffer: MAX_ARCHIVE_BYTES })
  return stdout.trim()
}

async function gitStatus(args: readonly string[]): Promise<number> {
  try {
    await git(args)
    return 0
  } catch (error) {
    return (error as { code?: number }).code ?? -1
  }
}
