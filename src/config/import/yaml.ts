/**
 * YAML 1.2 (core schema) as JSON text: members keep their order and numbers their spelling, because agents hash the
 * one and misread another. What JSON cannot say is refused with its line. Pure.
 */

import {
  isAlias,
  isMap,
  isScalar,
  isSeq,
  LineCounter,
  parseAllDocuments,
  type Document,
  type Node,
  type Scalar,
} from 'yaml'
import { pointerOf, stepsOf } from '../../lib/json-pointer.ts'
import { fail, ok, type Result } from '../../lib/result.ts'
import type { Remark, Source, SourceFile } from './source.ts'

/** A few aliases can stand for a billion values; a configuration has some ten thousand. */
const MAX_VALUES = 1_000_000
/** Agents take 32 levels; deeper is an alias inside itself. */
const MAX_DEPTH = 100
/** RFC 8259, section 6. */
const JSON_NUMBER = /^-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?$/

/** Reads each document of a YAML file. */
export function readYaml(file: SourceFile): Result<Source[], Remark[]> {
  const lines = new LineCounter()
  const parsed = parseAllDocuments(file.text, { lineCounter: lines, prettyErrors: false, intAsBigInt: true })
  const documents = Array.isArray(parsed) ? parsed : []
  const remarks = documents.flatMap(({ errors, warnings }) =>
    [...errors, ...warnings].map(({ message, pos }) => ({
      file: file.path,
      pointer: '',
      line: lines.linePos(pos[0]).line,
      rule: `is not YAML that is taken here: ${message}`,
    })),
  )
  if (remarks.length > 0) return fail(remarks)
  const sources: Source[] = []
  for (const document of documents) {
    const writer = new JsonWriter(document)
    const json = writer.write(document.contents)
    if (writer.faults.length > 0)
      return fail(
        writer.faults.map(({ node, path, rule }) => ({
          file: file.path,
          pointer: pointerOf(path),
          line: lineAt(node, lines),
          rule,
        })),
      )
    const place = (pointer: string) => ({
      file: file.path,
      pointer,
      line: lineAt(nodeAt(document, stepsOf(pointer)), lines),
    })
    sources.push({ json, place, warnings: [] })
  }
  return ok(sources)
}

/** Writes a document's value as JSON, and gathers what JSON has no words for. */
class JsonWriter {
  readonly faults: { node: unknown; path: readonly PropertyKey[]; rule: string }[] = []
  readonly #document: Document
  readonly #path: PropertyKey[] = []
  readonly #aliases = new Map<unknown, unknown>()
  #values = 0

  constructor(document: Document) {
    this.#document = document
  }

  write(node: unknown): string {
    this.#values += 1
    if (this.#values > MAX_VALUES || this.#path.length > MAX_DEPTH)
      return this.#refuse(node, 'stands for more values than a configuration can have')
    const value = this.#resolved(node)
    if (isMap(value)) return this.#writeMap(value.items)
    if (isSeq(value)) return `[${value.items.map((item, index) => this.#writeAt(index, item)).join(',')}]`
    return isScalar(value) ? this.#writeScalar(value) : 'null'
  }

  #writeMap(pairs: readonly { key: unknown; value: unknown }[]): string {
    const members = pairs.map(({ key, value }) => {
      const name = nameOf(key)
      if (name === undefined) return this.#refuse(key, 'has a name that is no text')
      if (name === '<<') return this.#refuse(key, 'merge keys are not taken: write the members out')
      return `${JSON.stringify(name)}:${this.#writeAt(name, value)}`
    })
    return `{${members.join(',')}}`
  }

  #writeAt(step: PropertyKey, node: unknown): string {
    this.#path.push(step)
    const text = this.#values > MAX_VALUES ? 'null' : this.write(node)
    this.#path.pop()
    return text
  }

  #writeScalar(scalar: Scalar): string {
    const { value, source } = scalar
    if (typeof value === 'number' || typeof value === 'bigint') {
      if (source !== undefined && JSON_NUMBER.test(source)) return source
      return typeof value === 'bigint' || Number.isFinite(value)
        ? String(value)
        : this.#refuse(scalar, 'is a number that JSON does not have')
    }
    if (typeof value === 'string' || typeof value === 'boolean' || value === null)
      return JSON.stringify(value)
    return this.#refuse(scalar, 'is a value that JSON does not have')
  }

  /** An alias walks the whole document for its anchor, so it is asked once. */
  #resolved(node: unknown): unknown {
    if (!isAlias(node)) return node
    if (!this.#aliases.has(node)) this.#aliases.set(node, resolved(node, this.#document))
    return this.#aliases.get(node)
  }

  #refuse(node: unknown, rule: string): string {
    // One is enough of those that come by the thousand.
    if (this.faults.at(-1)?.rule !== rule) this.faults.push({ node, path: [...this.#path], rule })
    return 'null'
  }
}

function resolved(node: unknown, document: Document): unknown {
  return isAlias(node) ? node.resolve(document) : node
}

/** The name of a member: what stands there, also where YAML takes it for a number, a boolean or nothing. */
function nameOf(key: unknown): string | undefined {
  if (!isScalar(key)) return undefined
  return typeof key.value === 'string' ? key.value : (key.source ?? String(key.value))
}

function nodeAt(document: Document, steps: readonly string[]): unknown {
  let node: unknown = document.contents
  for (const step of steps) {
    const value = resolved(node, document)
    if (isMap(value)) {
      const pair = value.items.find(({ key }) => nameOf(key) === step)
      // The name's line: a value may begin a line later.
      node = pair?.value ?? pair?.key
      if (step === steps.at(-1) && pair !== undefined && !isScalar(pair.value)) return pair.key
    } else if (isSeq(value)) node = value.items[Number(step)]
    else return undefined
  }
  return node
}

function lineAt(node: unknown, lines: LineCounter): number | null {
  const range = (node as Node | null | undefined)?.range
  return range === undefined || range === null ? null : lines.linePos(range[0]).line
}
