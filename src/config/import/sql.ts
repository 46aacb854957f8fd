/**
 * A folder of `.sql` files as a pack: a file is a query, named like the file. `-- platform: linux` and the like at its
 * head are its settings, as osquery-defense-kit writes them; other comments there become its description. Pure.
 */

import { stepsOf } from '../../lib/json-pointer.ts'
import { fail, ok, type Result } from '../../lib/result.ts'
import type { Remark, Source, SourceFile } from './source.ts'

/** The settings that a header may have, and how its text becomes JSON. */
const HEADERS: Readonly<Record<string, (text: string) => string | number | boolean>> = {
  platform: (text) => text,
  version: (text) => text,
  interval: numberOrText,
  shard: numberOrText,
  startup_priority: numberOrText,
  snapshot: flagOrText,
  removed: flagOrText,
  denylist: flagOrText,
}

/** Makes one pack of a folder's files; two of one name are refused. */
export function readSqlFolder(files: readonly SourceFile[]): Result<Source, Remark[]> {
  const byName = new Map<string, SourceFile>()
  const faults: Remark[] = []
  for (const file of files.toSorted((a, b) => (a.path < b.path ? -1 : 1))) {
    const name = (file.path.split('/').at(-1) ?? '').replace(/\.sql$/i, '')
    const same = byName.get(name)
    if (same === undefined) byName.set(name, file)
    else faults.push({ file: file.path, pointer: '', line: null, rule: `is a query named like ${same.path}` })
  }
  if (faults.length > 0) return fail(faults)
  const queries = [...byName].map(([name, file]) => [name, queryOf(file.text).query] as const)
  const [first] = files
  return ok({
    json: JSON.stringify({ queries: Object.fromEntries(queries) }),
    place: (pointer) => placeOf(pointer, byName, first?.path ?? ''),
    warnings: [],
  })
}

function placeOf(pointer: string, files: ReadonlyMap<string, SourceFile>, first: string) {
  const [, name, key] = stepsOf(pointer)
  const file = name === undefined ? undefined : files.get(name)
  if (file === undefined) return { file: first, pointer, line: null }
  const { lines } = queryOf(file.text)
  return {
    file: file.path,
    pointer: key === undefined ? '' : `/${key}`,
    line: lines.get(key ?? 'query') ?? 1,
  }
}

/** The query of a file, and the lines where its members stand. */
function queryOf(text: string): { query: Record<string, unknown>; lines: Map<string, number> } {
  const all = text.replaceAll('\r\n', '\n').split('\n')
  const settings: Record<string, unknown> = {}
  const lines = new Map<string, number>()
  const description: string[] = []
  let sqlFrom = 0
  for (; sqlFrom < all.length; sqlFrom += 1) {
    const line = (all[sqlFrom] ?? '').trim()
    if (line === '') continue
    if (!line.startsWith('--')) break
    const comment = line.replace(/^--+\s?/, '')
    const [, name = '', value = ''] = /^([a-z_]+)\s*:\s*(.*)$/i.exec(comment) ?? []
    const read = Object.hasOwn(HEADERS, name.toLowerCase()) ? HEADERS[name.toLowerCase()] : undefined
    if (read === undefined) description.push(comment)
    else {
      settings[name.toLowerCase()] = read(value.trim())
      lines.set(name.toLowerCase(), sqlFrom + 1)
    }
  }
  lines.set('query', Math.min(sqlFrom + 1, all.length))
  const sql = all.slice(sqlFrom).join('\n').trim()
  const said = description.join('\n').trim()
  return { query: { query: sql, ...settings, ...(said === '' ? {} : { description: said }) }, lines }
}

function numberOrText(text: string): string | number {
  return /^\d{1,9}$/.test(text) ? Number(text) : text
}

function flagOrText(text: string): string | boolean {
  return text === 'true' ? true : text === 'false' ? false : text
}
