/** The functions that osquery adds to SQLite and that queries in the wild use. */
import { createHash } from 'node:crypto'
import type { DatabaseSync, SQLInputValue } from 'node:sqlite'

type Argument = SQLInputValue

/** Registers the functions on a connection. */
export function registerFunctions(database: DatabaseSync): void {
  const deterministic = { deterministic: true }
  database.function('md5', deterministic, (value) => digest('md5', value))
  database.function('sha1', deterministic, (value) => digest('sha1', value))
  database.function('sha256', deterministic, (value) => digest('sha256', value))
  database.function('to_base64', deterministic, (value) => Buffer.from(text(value)).toString('base64'))
  database.function('from_base64', deterministic, (value) => Buffer.from(text(value), 'base64').toString())
  database.function('split', deterministic, (value, delimiters, index) =>
    part(
      text(value)
        .split(new RegExp(`[${escapeClass(text(delimiters))}]`))
        .filter((piece) => piece !== ''),
      index,
    ),
  )
  database.function('regex_split', deterministic, (value, pattern, index) =>
    part(
      text(value)
        .split(new RegExp(text(pattern)))
        .filter((piece) => piece !== ''),
      index,
    ),
  )
  database.function('regex_match', deterministic, (value, pattern, index) =>
    part([...(new RegExp(text(pattern)).exec(text(value)) ?? [])], index),
  )
  database.function('version_compare', deterministic, (left, right) =>
    compareVersions(text(left), text(right)),
  )
}

/** Registers the aggregate `carve(path)`. Its text is cut to 13 characters by osquery, so that no GUID is shown. */
export function registerCarve(database: DatabaseSync, onCarve: (paths: readonly string[]) => void): void {
  // SQLite's types allow no array to accumulate in; NUL cannot occur in a path.
  database.aggregate<string>('carve', {
    start: '',
    step: (paths, value) => `${text(paths)}${text(value)}\0`,
    result: (paths) => {
      onCarve(text(paths).split('\0').slice(0, -1))
      return 'Carve Started'
    },
  })
}

/** Compares dotted versions number by number: negative, 0 or positive. */
export function compareVersions(left: string, right: string): number {
  const numbers = (version: string) => version.split('.').map((piece) => Number.parseInt(piece, 10) || 0)
  const [a, b] = [numbers(left), numbers(right)]
  for (let i = 0; i < Math.max(a.length, b.length); i += 1) {
    const difference = (a[i] ?? 0) - (b[i] ?? 0)
    if (difference !== 0) return Math.sign(difference)
  }
  return 0
}

function digest(algorithm: string, value: Argument | undefined): string | null {
  return value === null || value === undefined
    ? null
    : createHash(algorithm).update(text(value)).digest('hex')
}

function part(pieces: readonly string[], index: Argument | undefined): string | null {
  return pieces[Number(text(index))] ?? null
}

function text(value: Argument | undefined): string {
  if (typeof value === 'string') return value
  if (typeof value === 'number' || typeof value === 'bigint') return String(value)
  return value === null || value === undefined ? '' : Buffer.from(value.buffer).toString()
}

function escapeClass(characters: string): string {
  return characters.replaceAll(/[\\\]^-]/g, String.raw`\$&`)
}
