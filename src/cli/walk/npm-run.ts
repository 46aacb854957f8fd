/** npm as a user's terminal runs it: its output, the signals it gets, and whether anything of it is left. */

import type { ChildProcessByStdio } from 'node:child_process'
import { spawn } from 'node:child_process'
import type { Readable } from 'node:stream'
import { setTimeout as sleep } from 'node:timers/promises'

import type { ProcessEntry } from '../start/processes.ts'
import { listProcesses, signalProcess } from '../start/processes.ts'
import { userEnvironment } from './user-environment.ts'

const POLL_MS = 50
const KEPT_OUTPUT_CHARACTERS = 64_000

export class NpmRun {
  readonly #npm: ChildProcessByStdio<null, Readable, Readable>
  readonly #groupId: number
  /** Ours and those that processes of ours have made. */
  readonly #groupIds: Set<number>
  #output = ''
  /** The exit code of npm; the signal's name where one ended it. Its output is whole by then. */
  readonly ended: Promise<number | string>

  /** Starts `npm …` in a process group of its own. */
  constructor(folder: string, args: readonly string[]) {
    this.#npm = spawn('npm', args, {
      cwd: folder,
      env: userEnvironment(process.env),
      detached: true,
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    // Said by the missing id too.
    this.#npm.once('error', () => undefined)
    const { pid } = this.#npm
    if (pid === undefined) throw new Error('npm could not be started')
    this.#groupId = pid
    this.#groupIds = new Set([pid])
    this.ended = new Promise((resolve) => {
      this.#npm.once('close', (code, signal) => resolve(code ?? signal ?? 'unknown'))
    })
    for (const stream of [this.#npm.stdout, this.#npm.stderr]) {
      stream.setEncoding('utf8').on('data', (text: string) => {
        this.#output = `${this.#output}${text}`.slice(-KEPT_OUTPUT_CHARACTERS)
      })
    }
  }

  /** What it printed so far, the last of it. */
  get output(): string {
    return this.#output
  }

  /** How it ended, `running` if it has not in time. */
  endedWithin(withinMs: number): Promise<number | string> {
    return Promise.race([this.ended, sleep(withinMs, 'running', { ref: false })])
  }

  /** Notes the groups of all processes that stem from npm, so that they can be killed and looked for later. */
  async noteGroups(): Promise<void> {
    for (const { groupId } of descendants(await listProcesses(), this.#groupId)) this.#groupIds.add(groupId)
  }

  /** What Ctrl-C in a terminal does. */
  interrupt(): void {
    signalProcess(-this.#groupId, 'SIGINT')
  }

  /** SIGKILL to every noted group in one go, as when power fails. Synchronous: nothing of ours runs between. */
  killAtOnce(): void {
    for (const groupId of this.#groupIds) signalProcess(-groupId, 'SIGKILL')
  }

  /** Waits until no process of the noted groups is there; gives those that still are when the time is over. */
  async leftovers(withinMs: number): Promise<ProcessEntry[]> {
    const deadlineMs = performance.now() + withinMs
    for (;;) {
      const left = (await listProcesses()).filter(({ groupId }) => this.#groupIds.has(groupId))
      if (left.length === 0 || performance.now() >= deadlineMs) return left
      await sleep(POLL_MS)
    }
  }

  /** Ends whatever is left, for cleaning up. */
  async end(): Promise<void> {
    await this.noteGroups()
    if ((await this.leftovers(0)).length > 0) this.killAtOnce()
  }
}

function descendants(entries: readonly ProcessEntry[], root: number): ProcessEntry[] {
  const children = entries.filter(({ parentPid }) => parentPid === root)
  return children.flatMap((child) => [child, ...descendants(entries, child.pid)])
}
