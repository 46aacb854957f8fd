/** A node that says something once and then nothing, so that presence can be wrong about it too. */

import { readNodeKey } from '../../src/agent/node-key.ts'
import type { SigningKeys } from '../../src/agent/signing-keys.ts'
import type { OperatorClient } from '../../src/simulator/fleet/operator-client.ts'
import type { Stranger } from './junk.ts'

/** Clocks of two processes, and whole seconds. */
const SLACK_MS = 2_000
/** Twice its distributed interval of a second, and a minute of grace (src/fleet/online.ts). */
const OFFLINE_AFTER_MS = 62_000

export class SilentNode {
  readonly #client: OperatorClient
  readonly #path: string
  readonly #lastMs: number

  static async enroll(
    stranger: Stranger,
    client: OperatorClient,
    environmentId: string,
    keys: SigningKeys,
  ): Promise<SilentNode> {
    const identity = await readNodeKey(keys, (await stranger.enroll()) ?? '')
    if (!identity.ok) throw new Error('the silent node cannot enroll')
    return new SilentNode(client, `/environments/${environmentId}/nodes/${identity.value.nodeId}`, Date.now())
  }

  private constructor(client: OperatorClient, path: string, lastMs: number) {
    this.#client = client
    this.#path = path
    this.#lastMs = lastMs
  }

  /** What is wrong with how it is shown. */
  async faults(): Promise<string[]> {
    const askedMs = Date.now()
    const { lastSeenAt, online } = await this.#client.json<{ lastSeenAt: string; online: boolean }>(
      'GET',
      this.#path,
    )
    const faults: string[] = []
    if (Date.parse(lastSeenAt) > this.#lastMs + SLACK_MS)
      faults.push(
        `a silent node was seen ${lastSeenAt}, its last word was ${new Date(this.#lastMs).toISOString()}`,
      )
    if (online && askedMs > this.#lastMs + OFFLINE_AFTER_MS + SLACK_MS) faults.push('a silent node is online')
    return faults
  }
}
