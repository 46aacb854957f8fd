/** Cuts JSON text without parsing it, so that the bytes of a part can be compared. For text that is known to be valid. */

/** The texts of the elements of an array or the members of an object whose bracket is at `start`, and where it ends. */
function parts(text: string, start: number): { readonly texts: string[]; readonly end: number } {
  const texts: string[] = []
  let depth = 0
  let from = start + 1
  for (let i = start; i < text.length; i += 1) {
    const c = text[i]
    if (c === '"') i = endOfString(text, i)
    else if (c === '{' || c === '[') depth += 1
    else if (c === '}' || c === ']') depth -= 1
    if ((c === ',' && depth === 1) || depth === 0) {
      const part = text.slice(from, i).trim()
      if (part !== '') texts.push(part)
      from = i + 1
    }
    if (depth === 0) return { texts, end: i }
  }
  throw new Error('the JSON text ends too early')
}

/** The elements of an array, as they are written. */
export function elements(text: string): string[] {
  return parts(text, text.indexOf('[')).texts
}

/** The members of an object, as they are written. */
export function members(text: string): Map<string, string> {
  return new Map(
    parts(text, text.indexOf('{')).texts.map((member) => {
      const end = endOfString(member, 0)
      const value = member.slice(member.indexOf(':', end) + 1).trim()
      return [JSON.parse(member.slice(0, end + 1)) as string, value]
    }),
  )
}

// The index of the closing quotation mark.
function endOfString(text: string, start: number): number {
  for (let i = text.indexOf('"', start + 1); ; i = text.indexOf('"', i + 1)) {
    if (i < 0) throw new Error('the JSON text ends too early')
    let backslashes = 0
    while (text[i - 1 - backslashes] === '\\') backslashes += 1
    if (backslashes % 2 === 0) return i
  }
}
