/** Asks a few machines for a file every now and then, as an operator would. */
import type { AnswerLedger } from './answer-ledger.ts'
import type { CarveLedger } from './carve-ledger.ts'
import type { Member } from './member.ts'
import type { OperatorClient } from './operator-client.ts'

export interface LiveCarvesOptions {
  readonly client: OperatorClient
  /** UUID or name. */
  readonly environment: string
  readonly carves: CarveLedger
  readonly answers: AnswerLedger
  /** Two runs in one environment must not take each other's files for their own. */
  readonly label: string
  /** Some members that are online. */
  readonly pick: (count: number) => readonly Member[]
}

const MACHINES_AT_ONCE = 5
const EXPIRES_AFTER_S = 3_600

export class LiveCarves {
  readonly #options: LiveCarvesOptions
  #count = 0
  /** Carves that could not be asked for, as the server put it. */
  readonly failures: string[] = []

  constructor(options: LiveCarvesOptions) {
    this.#options = options
  }

  /** Asks for the next file. A refusal is noted, not thrown. */
  async ask(): Promise<void> {
    const { answers, carves, client, environment, label, pick } = this.#options
    const picked = pick(MACHINES_AT_ONCE)
    if (picked.length === 0) return
    this.#count += 1
    const path = `/var/evidence/${label}-${this.#count}.bin`
    const expected = picked.map(({ plan }) => plan.machine)
    const askedAtMs = Date.now()
    try {
      const { queryId } = await client.json<{ queryId: string }>(
        'POST',
        `/environments/${environment}/carves`,
        {
          path,
          targets: { hostnames: [...new Set(picked.map(({ host }) => host.hostname))] },
          expiresInSeconds: EXPIRES_AFTER_S,
        },
      )
      carves.ask({ queryId, path, askedAtMs, expected })
      // The row that says "scheduled" is an answer like any other.
      const { sql } = await client.json<{ sql: string }>(
        'GET',
        `/environments/${environment}/queries/${queryId}`,
      )
      answers.open({ id: queryId, sql, openedAtMs: askedAtMs, expected })
    } catch (error) {
      this.failures.push(error instanceof Error ? error.message : String(error))
    }
  }
}
