/**
 * Files as osquery's filesystem plugin reads them (field notes 7.3; osquery/config/config.cpp, stripConfigComments): a
 * backslash before a line's end joins lines, whole lines that start with # or // are comments, the rest is strict JSON.
 * Pure.
 */

import { utf8 } from '../../lib/bytes.ts'
import { pointerOf } from '../../lib/json-pointer.ts'
import { JsonScanner } from '../../lib/json-scanner.ts'
import { fail, ok, type Result } from '../../lib/result.ts'
import { readDocumentFacts } from '../document-facts.ts'
import type { Remark, Source, SourceFile } from './source.ts'

/** A line of JSON and the line of the file where it begins. */
interface Line {
  text: string
  number: number
}

/** Reads a `.conf`. */
export function readConf(file: SourceFile): Result<Source, Remark[]> {
  return sourceOf(file.path, linesOfConf(file.text))
}

/** Reads a `.json`: the same without comments and continuations. */
export function readJson(file: SourceFile): Result<Source, Remark[]> {
  return sourceOf(
    file.path,
    file.text.split('\n').map((text, index) => ({ text, number: index + 1 })),
  )
}

/** What osquery's pre-pass leaves of a text. */
export function stripConf(text: string): string {
  return linesOfConf(text)
    .map((line) => line.text)
    .join('\n')
}

function linesOfConf(text: string): Line[] {
  const joined: Line[] = []
  let open: Line | null = null
  // osquery knows LF only: a file from Windows is read as if it had that.
  for (const [index, raw] of text.replaceAll('\r\n', '\n').split('\n').entries()) {
    const continues = raw.endsWith('\\')
    const piece = continues ? raw.slice(0, -1) : raw
    if (open === null) open = { text: piece, number: index + 1 }
    else open.text += piece
    if (continues) continue
    joined.push(open)
    open = null
  }
  if (open !== null) joined.push(open)
  return joined
    .map(({ text: line, number }) => ({ text: line.trim(), number }))
    .filter(({ text: line }) => line !== '' && !line.startsWith('#') && !line.startsWith('//'))
}

function sourceOf(file: string, lines: readonly Line[]): Result<Source, Remark[]> {
  const fault = faultOf(lines)
  if (fault !== null) return fail([{ file, pointer: '', line: fault.line, rule: fault.rule }])
  const json = lines.map(({ text }) => text).join('\n')
  const place = (pointer: string) => ({ file, pointer, line: lineOf(lines, pointer) })
  const twice = readDocumentFacts(json).duplicates
  if (twice.length > 0)
    return fail(twice.map((pointer) => ({ ...place(pointer), rule: 'stands here twice' })))
  return ok({ json, place, warnings: [] })
}

function faultOf(lines: readonly Line[]): { line: number | null; rule: string } | null {
  const scanner = new JsonScanner({ enter: () => 'skip' })
  for (const { text, number } of lines)
    if (!scanner.push(utf8(`${text}\n`)))
      return { line: number, rule: `is not JSON: ${scanner.fault?.detail ?? 'broken'}` }
  const fault = scanner.end()
  if (fault !== null) return { line: lines.at(-1)?.number ?? null, rule: `is not JSON: ${fault.detail}` }
  return isJson(lines) ? null : { line: null, rule: 'is not JSON' }
}

/** The scanner takes texts that are not UTF-8 and escapes that pair badly; the last word is JSON.parse's. */
function isJson(lines: readonly Line[]): boolean {
  try {
    JSON.parse(lines.map(({ text }) => text).join('\n'))
    return true
  } catch {
    // Its message quotes the file; what is known of the place was said before.
    return false
  }
}

/** The line where a value begins: of a name that stands twice the last one; null where there is no such value. */
function lineOf(lines: readonly Line[], pointer: string): number | null {
  let at = 0
  let found: number | null = null
  const scanner = new JsonScanner({
    enter(path, kind) {
      const here = pointerOf(path)
      if (here === pointer) found = at
      const isOnTheWay = here === '' || pointer === here || pointer.startsWith(`${here}/`)
      return isOnTheWay && (kind === 'object' || kind === 'array') ? 'descend' : 'skip'
    },
  })
  for (const { text, number } of lines) {
    at = number
    scanner.push(utf8(`${text}\n`))
  }
  return found
}
