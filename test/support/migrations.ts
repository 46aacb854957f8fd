/** The product's migrations, for databases that wrangler does not look after. */

import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

const FOLDER = join(import.meta.dirname, '..', '..', 'migrations')

/** Applies all of them, to an empty database. */
export async function applyMigrations(db: D1Database): Promise<void> {
  for (const name of readdirSync(FOLDER).sort()) {
    const sql = readFileSync(join(FOLDER, name), 'utf8').replaceAll(/^--.*$/gm, '')
    await db.batch(statementsOf(sql).map((statement) => db.prepare(statement)))
  }
}

/** A statement ends where a line ends in `;`; a trigger where that line is `END;`. */
function statementsOf(sql: string): string[] {
  const statements: string[] = []
  let open = ''
  for (const piece of sql.split(/;\s*$/m)) {
    open = open === '' ? piece : `${open};${piece}`
    if (/^\s*CREATE\s+TRIGGER\b/i.test(open) && !/\bEND\s*$/i.test(open)) continue
    if (open.trim() !== '') statements.push(open)
    open = ''
  }
  return statements
}
