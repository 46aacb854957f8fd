/**
 * An operator's document without its whitespace, otherwise as it was written: member order decides agents' hash, and
 * big numbers, escapes and integer-like names must survive (spec 3.1). Pure.
 */

const QUOTE = 0x22
const BACKSLASH = 0x5c

/** Takes whitespace outside of texts out. The text must be valid JSON. */
export function compactJson(text: string): string {
  let compact = ''
  let keptFrom = 0
  let inText = false
  for (let i = 0; i < text.length; i += 1) {
    const code = text.charCodeAt(i)
    if (inText) {
      if (code === BACKSLASH) i += 1
      else if (code === QUOTE) inText = false
    } else if (code === QUOTE) {
      inText = true
    } else if (code === 0x20 || code === 0x0a || code === 0x0d || code === 0x09) {
      compact += text.slice(keptFrom, i)
      keptFrom = i + 1
    }
  }
  return compact + text.slice(keptFrom)
}
