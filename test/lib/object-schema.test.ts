import { DatabaseSync } from 'node:sqlite'
import { describe, expect, it } from 'vitest'
import { applySchema } from '../../src/lib/object-schema.ts'

/** The part of an object's storage that schemas use, over real SQLite. That objects themselves migrate is shown by their own tests. */
function storageOf(database: DatabaseSync): { storage: DurableObjectStorage; executed: string[] } {
  const executed: string[] = []
  const sql = {
    exec(text: string, ...values: number[]) {
      executed.push(text)
      if (values.length === 0 && !text.startsWith('SELECT')) {
        database.exec(text)
        return { toArray: () => [] }
      }
      const rows = database.prepare(text).all(...values)
      return { toArray: () => rows }
    },
  }
  const storage = {
    sql,
    transactionSync(work: () => void) {
      database.exec('BEGIN')
      try {
        work()
        database.exec('COMMIT')
      } catch (error) {
        database.exec('ROLLBACK')
        throw error
      }
    },
  }
  return { storage: storage as unknown as DurableObjectStorage, executed }
}

function tablesOf(database: DatabaseSync): unknown[] {
  return database
    .prepare("SELECT name FROM sqlite_schema WHERE name NOT LIKE '\\_%' ESCAPE '\\' ORDER BY name")
    .all()
    .map(({ name }) => name)
}

describe('applySchema', () => {
  it('runs every step once, and later only those that were added', () => {
    const database = new DatabaseSync(':memory:')
    const { storage, executed } = storageOf(database)
    applySchema(storage, ['CREATE TABLE a (x)', 'CREATE TABLE b (x)'])
    expect(tablesOf(database)).toEqual(['a', 'b'])
    executed.length = 0
    applySchema(storage, [
      'CREATE TABLE a (x)',
      'CREATE TABLE b (x)',
      'CREATE TABLE c (x); CREATE TABLE d (x)',
    ])
    expect(tablesOf(database)).toEqual(['a', 'b', 'c', 'd'])
    expect(executed.filter((text) => text.startsWith('CREATE TABLE c'))).toHaveLength(1)
    executed.length = 0
    applySchema(storage, [
      'CREATE TABLE a (x)',
      'CREATE TABLE b (x)',
      'CREATE TABLE c (x); CREATE TABLE d (x)',
    ])
    expect(executed.filter((text) => !text.startsWith('SELECT'))).toEqual([
      'CREATE TABLE IF NOT EXISTS _schema (version INTEGER NOT NULL)',
    ])
  })

  it('does nothing where a newer Worker has been (gradual deploy, roll-back)', () => {
    const database = new DatabaseSync(':memory:')
    const { storage } = storageOf(database)
    applySchema(storage, ['CREATE TABLE a (x)', 'CREATE TABLE b (x)'])
    applySchema(storage, ['CREATE TABLE a (x)'])
    applySchema(storage, ['CREATE TABLE a (x)', 'CREATE TABLE b (x)'])
    expect(tablesOf(database)).toEqual(['a', 'b'])
  })

  it('takes a step that fails back, with those before it, so that the next start tries again', () => {
    const database = new DatabaseSync(':memory:')
    const { storage } = storageOf(database)
    expect(() => applySchema(storage, ['CREATE TABLE a (x)', 'CREATE TABEL b (x)'])).toThrow()
    expect(tablesOf(database)).toEqual([])
    applySchema(storage, ['CREATE TABLE a (x)', 'CREATE TABLE b (x)'])
    expect(tablesOf(database)).toEqual(['a', 'b'])
  })
})
