/** The product's migrations, for databases that wrangler does not look after. */

import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

const FOLDER = join(import.meta.dirname, '..', '..', 'migrations')

/** Applies all of them, to an empty database. */
export async function applyMigrations(db: D1Database): Promise<void> {
  for (const name of readdirSync(FOLDER).sort()) {
    const sql = readFileSync(join(FOLDER, name), 'utf8').replaceAll(/^--.*$/gm, '')
    const statements = sql.split(/;\s*$/m).filter((statement) => statement.trim() !== '')
    await db.batch(statements.map((statement) => db.prepare(statement)))
  }
}
