/**
 * Schema steps of a SQLite-backed Durable Object. The constructor runs after every hibernation, so the check is one
 * cheap read; a step that was shipped is never edited, only followed (Rules of Durable Objects, Cloudflare).
 */
export function applySchema(storage: DurableObjectStorage, steps: readonly string[]): void {
  const { sql } = storage
  sql.exec('CREATE TABLE IF NOT EXISTS _schema (version INTEGER NOT NULL)')
  const [row] = sql.exec<{ version: number }>('SELECT version FROM _schema').toArray()
  const version = row?.version ?? 0
  if (version >= steps.length) return
  storage.transactionSync(() => {
    for (const step of steps.slice(version)) sql.exec(step)
    sql.exec('DELETE FROM _schema')
    sql.exec('INSERT INTO _schema (version) VALUES (?)', steps.length)
  })
}
