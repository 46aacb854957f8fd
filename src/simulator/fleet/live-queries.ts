/** Opens a live query for all nodes every now and then, as an operator would. */
import type { AnswerLedger } from './answer-ledger.ts'
import type { OperatorClient } from './operator-client.ts'

/** One row, a few rows, many rows, an error on every node, no rows. Each tells the machine. */
const KINDS = [
  'SELECT uuid, version, instance_id FROM osquery_info',
  'SELECT s.uuid, s.hostname, u.total_seconds FROM system_info s, uptime u',
  'SELECT s.uuid, p.pid, p.name, p.cmdline FROM system_info s, processes p',
  'SELECT * FROM no_such_table',
  'SELECT uuid FROM system_info WHERE 0',
]

const EXPIRES_AFTER_S = 3_600

export interface LiveQueriesOptions {
  readonly client: OperatorClient
  /** UUID or name. */
  readonly environment: string
  readonly ledger: AnswerLedger
  /** Told apart by it: two runs in one environment must not take each other's answers for their own. */
  readonly label: string
  /** Machines that should answer a query opened now. */
  readonly online: () => Iterable<number>
}

export class LiveQueries {
  readonly #options: LiveQueriesOptions
  #count = 0
  /** Queries that could not be opened, as the server put it. */
  readonly failures: string[] = []

  constructor(options: LiveQueriesOptions) {
    this.#options = options
  }

  /** Opens the next one. A refusal is noted, not thrown. */
  async open(): Promise<void> {
    const { client, environment, label, ledger, online } = this.#options
    const number = this.#count
    this.#count += 1
    // The comment makes the SQL unlike any other: agents see only the SQL and an opaque id.
    const sql = `${KINDS[number % KINDS.length] ?? ''} -- ${label} ${number}`
    const expected = [...online()]
    const openedAtMs = Date.now()
    try {
      const { id } = await client.json<{ id: string }>('POST', `/environments/${environment}/queries`, {
        sql,
        targets: { all: true },
        expiresInSeconds: EXPIRES_AFTER_S,
      })
      ledger.open({ id, sql, openedAtMs, expected })
    } catch (error) {
      this.failures.push(error instanceof Error ? error.message : String(error))
    }
  }
}
