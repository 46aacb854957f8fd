/**
 * Discovery of distributed queries (spec 5.2): a query with a precondition runs only where that gives a row, and where it
 * gives none nothing is ever reported. So such a query has a companion with the opposite precondition: its answer says
 * that the query does not apply. Pure.
 */

/** `~` is in no id of ours, and dots would trip agents before 3.2.0 (spec 5.4). */
const SUFFIX = '~no'

/** Runs anywhere, and gives a row. */
export const ALWAYS = 'SELECT 1'

/** The members that a query adds to a reply: its own id and, where it has a precondition, its companion's. */
export function discoveryMembers(
  id: string,
  query: { sql: string; discovery: string | null },
): { queries: Record<string, string>; discovery: Record<string, string> } {
  // Agents from 2.4 to 5.7 skip ids without a discovery entry, or run all: so every id has one.
  if (query.discovery === null) return { queries: { [id]: query.sql }, discovery: { [id]: ALWAYS } }
  const plain = query.discovery.replace(/[;\s]+$/, '')
  const queries = { [id]: query.sql }
  const discovery = { [id]: plain }
  // Inside of another statement only a single one goes; an error would cost the agent the whole reply.
  if (plain.includes(';') || plain.includes('/*')) return { queries, discovery }
  const companion = `${id}${SUFFIX}`
  return {
    queries: { ...queries, [companion]: ALWAYS },
    // On a line of its own: the text may end with a comment.
    discovery: { ...discovery, [companion]: `SELECT 1 WHERE NOT EXISTS (\n${plain}\n)` },
  }
}

/** The id that an answer is for, and whether it is the companion's: "does not apply", whatever it holds. */
export function readAnswerId(id: string): { id: string; notApplicable: boolean } {
  const notApplicable = id.endsWith(SUFFIX)
  return { id: notApplicable ? id.slice(0, -SUFFIX.length) : id, notApplicable }
}
