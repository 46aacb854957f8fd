/** Gathers what is wrong with a document, each with the place where it is. */

import { pointerOf } from '../lib/json-pointer.ts'
import type { DocumentFacts } from './document-facts.ts'

/** A JSON pointer (RFC 6901) and what is wrong there. */
export interface Finding {
  pointer: string
  detail: string
}

/** A document that is wrong in a thousand places needs no thousand lines. */
const MAX_FINDINGS = 100

/** One place in the document. Checks get it, so that they need not know where they are. */
export class Place {
  readonly pointer: string
  readonly #report: Report

  constructor(report: Report, pointer = '') {
    this.#report = report
    this.pointer = pointer
  }

  /** The member or item of this name or index. */
  at(step: string | number): Place {
    return new Place(this.#report, this.pointer + pointerOf([step]))
  }

  /** Agents would break on it, or silently do something else. */
  refuse(detail: string): void {
    this.#report.add('errors', { pointer: this.pointer, detail })
  }

  /** Stored all the same. */
  warn(detail: string): void {
    this.#report.add('warnings', { pointer: this.pointer, detail })
  }

  /** Whether the value here is a number written as a plain integer: agents read no others (spec 3.2, 3.4). */
  isInteger(value: unknown): value is number {
    return typeof value === 'number' && !this.#report.facts.oddNumbers.has(this.pointer)
  }
}

export class Report {
  readonly facts: DocumentFacts
  readonly errors: Finding[] = []
  readonly warnings: Finding[] = []

  constructor(facts: DocumentFacts) {
    this.facts = facts
  }

  add(list: 'errors' | 'warnings', finding: Finding): void {
    if (this[list].length < MAX_FINDINGS) this[list].push(finding)
  }
}
