/** Which live queries were opened, what each machine answered, and what the server took. */
import { hash } from 'node:crypto'
import type { QueryAnswer } from '../distributed.ts'
import { Latencies } from './latencies.ts'

/** What is known of one machine's answers to one query. A crash in between makes it answer more than once. */
export interface MachineAnswers {
  /** Digests of the answers that were sent. */
  readonly sent: Set<string>
  isAccepted: boolean
  /** Its node was deleted before it answered: the answer is of nobody the server knows, and may be there or not. */
  isForgiven: boolean
}

/** A query that the fleet's operator opened. */
export interface OpenedQuery {
  readonly id: string
  readonly sql: string
  readonly openedAtMs: number
  /** Machines that were online then and should answer; those that fell asleep or crashed since are taken out. */
  readonly expected: Set<number>
  readonly answers: Map<number, MachineAnswers>
  /** From opening to acceptance, per machine. */
  readonly latencies: Latencies
}

export class AnswerLedger {
  readonly #queries = new Map<string, OpenedQuery>()
  #expectsUntilMs = Infinity

  get queries(): readonly OpenedQuery[] {
    return [...this.#queries.values()]
  }

  /** Notes a query; its SQL must be unlike that of all others. Call it before the server may hand the query out. */
  open(query: { id: string; sql: string; openedAtMs: number; expected: Iterable<number> }): OpenedQuery {
    const opened = {
      ...query,
      expected: new Set(query.openedAtMs > this.#expectsUntilMs ? [] : query.expected),
      answers: this.#early.get(query.sql) ?? new Map<number, MachineAnswers>(),
      latencies: new Latencies(),
    }
    this.#early.delete(query.sql)
    this.#queries.set(query.sql, opened)
    return opened
  }

  // The first agents may answer before the operator has the reply that names the query.
  readonly #early = new Map<string, Map<number, MachineAnswers>>()

  /** Notes an answer of a machine to some SQL. */
  note(stage: 'sent' | 'accepted', sql: string, answer: QueryAnswer, machine: number, nowMs: number): void {
    const query = this.#queries.get(sql)
    const answers = query?.answers ?? this.#earlyAnswers(sql)
    const known = answers.get(machine) ?? newAnswers()
    answers.set(machine, known)
    if (stage === 'sent') {
      const rowTexts = answer.rows.map((row) => JSON.stringify(row))
      known.sent.add(answerDigest(answer.status === 0, answer.message, rowTexts))
    } else {
      if (query && !known.isAccepted) query.latencies.add(nowMs - query.openedAtMs)
      known.isAccepted = true
    }
  }

  /** Nobody had the time to answer what was opened later; that may still come in, from an operator who had to wait. */
  expectUntil(timeMs: number): void {
    this.#expectsUntilMs = timeMs
    for (const { expected, openedAtMs } of this.#queries.values()) if (openedAtMs > timeMs) expected.clear()
  }

  /** The machine went away: it owes no answers to what is open. */
  excuse(machine: number): void {
    for (const query of this.#queries.values())
      if (!query.answers.get(machine)?.isAccepted) query.expected.delete(machine)
  }

  /** The machine's node was deleted: what it has not answered yet it answers as another node. */
  forgive(machine: number): void {
    this.excuse(machine)
    for (const { answers } of this.#queries.values()) {
      const known = answers.get(machine) ?? newAnswers()
      answers.set(machine, known)
      if (!known.isAccepted) known.isForgiven = true
    }
  }

  #earlyAnswers(sql: string): Map<number, MachineAnswers> {
    const answers = this.#early.get(sql) ?? new Map<number, MachineAnswers>()
    this.#early.set(sql, answers)
    return answers
  }
}

function newAnswers(): MachineAnswers {
  return { sent: new Set(), isAccepted: false, isForgiven: false }
}

/** A digest of an answer that does not depend on the order of its rows, which come as their JSON texts. */
export function answerDigest(isOk: boolean, message: string, rowTexts: readonly string[]): string {
  return hash('sha256', JSON.stringify([isOk, message, rowTexts.toSorted()]), 'base64url').slice(0, 16)
}
