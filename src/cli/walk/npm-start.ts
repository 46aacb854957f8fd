/** `npm start` as a user's terminal runs it: its output, the signals it gets, and whether anything of it is left. */

import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'

import type { ProcessEntry } from '../start/processes.ts'
import { listProcesses, signalProcess } from '../start/processes.ts'
import type { NpmProcess } from './npm.ts'
import { spawnNpm } from './npm.ts'

const POLL_MS = 50
const KEPT_OUTPUT_CHARACTERS = 64_000

export class NpmStart {
  readonly #npm: NpmProcess
  readonly #groupIds: Set<number>
  #output = ''
  /** The exit code of npm; the signal's name where one ended it. */
  readonly ended: Promise<number | string>

  constructor(folder: string, port: number) {
    this.#npm = spawnNpm(folder, ['start', '--', '--port', String(port), '--ip', '127.0.0.1'])
    const { pid } = this.#npm
    if (pid === undefined) throw new Error('npm could not be started')
    this.#groupIds = new Set([pid])
    this.ended = once(this.#npm, 'exit').then(
      ([code, signal]: unknown[]) => Number(code ?? NaN) || String(signal ?? 0),
    )
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

  /** Notes the groups of all processes that stem from npm, so that they can be killed and looked for later. */
  async noteGroups(): Promise<void> {
    const entries = await listProcesses()
    for (const { groupId } of descendants(entries, this.#npm.pid ?? 0)) this.#groupIds.add(groupId)
  }

  /** What Ctrl-C in a terminal does. */
  interrupt(): void {
    signalProcess(-(this.#npm.pid ?? 0), 'SIGINT')
  }

  /** SIGKILL to every noted group in one go, as when the machine loses power. Synchronous: nothing of ours runs between. */
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
}

function descendants(entries: readonly ProcessEntry[], root: number): ProcessEntry[] {
  const children = entries.filter(({ parentPid }) => parentPid === root)
  return children.flatMap((child) => [child, ...descendants(entries, child.pid)])
}
