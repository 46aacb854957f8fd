/** Which lines a sink wants. Pure. */

import type { ArchivedLine, LineType } from '../line.ts'
import { nameMatcher, type NameMatcher } from '../name-glob.ts'
import { objectOfJson } from '../sinks/json-object.ts'
import { SEVERITIES, type SinkFilter } from './sink-config.ts'

/** A filter made ready: patterns are taken apart once. */
export class LineFilter {
  readonly types: readonly LineType[] | null
  readonly #queries: readonly NameMatcher[] | null
  readonly #tags: ReadonlySet<string> | null
  readonly #minSeverity: number

  constructor({ types, queries, tags, minSeverity }: SinkFilter) {
    this.types = types
    this.#queries = queries === null ? null : queries.map((pattern) => nameMatcher(pattern))
    this.#tags = tags === null ? null : new Set(tags)
    this.#minSeverity = minSeverity === null ? 0 : SEVERITIES.indexOf(minSeverity)
  }

  /** Whether an object may hold something; what its row does not say it may hold. */
  mayHold({ type, names }: { type: LineType; names: readonly string[] | null }): boolean {
    if (this.types !== null && !this.types.includes(type)) return false
    // The archived name is the agent's; the configuration's name may be another.
    return this.#queries === null || names === null || names.some((name) => name !== '')
  }

  wants({ header, line }: ArchivedLine): boolean {
    if (this.types !== null && !this.types.includes(header.type)) return false
    if (this.#queries !== null && !this.#wantsName(header.name, header.query)) return false
    if (this.#tags !== null && !header.tags.some((tag) => this.#tags?.has(tag))) return false
    return header.type !== 'status' || this.#minSeverity === 0 || severityOf(line) >= this.#minSeverity
  }

  #wantsName(name: string, query: string | null): boolean {
    const names = [name, query].filter((text) => text !== null && text !== '')
    return names.some((text) => this.#queries?.some((matches) => matches(text ?? '')))
  }
}

/** glog's level (spec 4.3): a number or its text; what says none is shown rather than hidden. */
function severityOf(line: Uint8Array): number {
  const severity = Number(objectOfJson(line)?.['severity'] ?? Number.NaN)
  return Number.isNaN(severity) ? SEVERITIES.length : severity
}
