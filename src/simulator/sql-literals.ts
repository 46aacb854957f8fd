/**
 * Constraints that osquery's virtual tables would get from SQLite (`path = '…'`, `path LIKE '…'`), read out of the
 * query's text instead. Good for literals; a path that comes from a join or a parameter is not seen.
 */
import { readdirSync } from 'node:fs'
import path from 'node:path'

/** Literals that constrain a column in the SQL text. */
export interface LiteralConstraints {
  readonly equal: readonly string[]
  readonly like: readonly string[]
}

const LITERAL = String.raw`'((?:[^']|'')*)'|"((?:[^"]|"")*)"`

/** Finds `column = '…'`, `column IN ('…', …)` and `column LIKE '…'`. */
export function literalConstraints(sql: string, column: string): LiteralConstraints {
  const find = (operator: string) =>
    [...sql.matchAll(new RegExp(String.raw`\b${column}\s*${operator}\s*(?:${LITERAL})`, 'gi'))].map(
      literalText,
    )
  const lists = sql.matchAll(new RegExp(String.raw`\b${column}\s+IN\s*\(([^)]*)\)`, 'gi'))
  const members = [...lists].flatMap(([, list = '']) =>
    [...list.matchAll(new RegExp(LITERAL, 'g'))].map(literalText),
  )
  return { equal: [...find('={1,2}'), ...members], like: find(String.raw`\s+LIKE`) }
}

/**
 * Expands an osquery glob over the real file system: `%` or `*` within one path component, `%%` or `**` recursive.
 * Gives existing paths in order, at most `maxPaths`; folders that cannot be read are skipped.
 */
export function expandGlob(pattern: string, maxPaths: number): string[] {
  const components = path.normalize(pattern.replaceAll('*', '%')).split(path.sep)
  const [root = '', ...rest] = components
  const found: string[] = []
  walk(root === '' ? path.sep : root + path.sep, rest, found, maxPaths)
  return found
}

function walk(folder: string, components: readonly string[], found: string[], maxPaths: number): void {
  const [component, ...rest] = components
  if (component === undefined || found.length >= maxPaths) return
  const isRecursive = component.includes('%%')
  const matcher = new RegExp(`^${component.split(/%+/).map(escapeRegExp).join('.*')}$`)
  for (const entry of listFolder(folder)) {
    if (found.length >= maxPaths) return
    if (!matcher.test(entry.name)) continue
    const full = path.join(folder, entry.name)
    if (rest.length === 0) found.push(full)
    if (!entry.isDirectory()) continue
    if (isRecursive) walk(full, components, found, maxPaths)
    else walk(full, rest, found, maxPaths)
  }
}

function listFolder(folder: string) {
  try {
    return readdirSync(folder, { withFileTypes: true }).toSorted((a, b) => (a.name < b.name ? -1 : 1))
  } catch {
    return []
  }
}

function literalText(match: RegExpExecArray): string {
  return match[1]?.replaceAll("''", "'") ?? match[2]?.replaceAll('""', '"') ?? ''
}

function escapeRegExp(text: string): string {
  return text.replaceAll(/[.*+?^${}()|[\]\\]/g, String.raw`\$&`)
}
