/** Statements with named parameters: D1 knows them by number only, and fifteen numbers are easily mixed up. */

/** A statement whose `:name` parameters are given as an object. */
export interface NamedStatement<Name extends string> {
  sql: string
  bind(db: D1Database, values: Readonly<Record<Name, D1Value>>): D1PreparedStatement
}

export type D1Value = string | number | null

/** Numbers the parameters (`:name`, letters only) of a statement. Throws where a text of it holds one by accident. */
export function namedStatement<Name extends string>(
  text: string,
  names: readonly Name[],
): NamedStatement<Name> {
  const used: Name[] = []
  const sql = text.replaceAll(/:([A-Za-z]+)/g, (_match, found: string) => {
    const name = names.find((known) => known === found)
    if (name === undefined) throw new Error(`a statement has no parameter ${found}`)
    if (!used.includes(name)) used.push(name)
    return `?${used.indexOf(name) + 1}`
  })
  return { sql, bind: (db, values) => db.prepare(sql).bind(...used.map((name) => values[name])) }
}
