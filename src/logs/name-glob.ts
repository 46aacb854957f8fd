/** Names of queries as filters have them: exact, or with `*` for any characters. Pure. */

/** What says whether a name matches; null matches every one. */
export type NameMatcher = (name: string) => boolean

/** Matches a name, or a pattern where `*` stands for any characters, also none. */
export function nameMatcher(pattern: string | null): NameMatcher {
  if (pattern === null) return () => true
  const [head = '', ...rest] = pattern.split('*')
  if (rest.length === 0) return (name) => name === pattern
  const tail = rest.pop() ?? ''
  return (name) => {
    if (name.length < head.length + tail.length || !name.startsWith(head) || !name.endsWith(tail))
      return false
    const end = name.length - tail.length
    let at = head.length
    for (const part of rest) {
      const found = name.indexOf(part, at)
      if (found === -1 || found + part.length > end) return false
      at = found + part.length
    }
    return true
  }
}
