/**
 * Names of packs as names of files. A pack may be called anything; what a file system may not have, or not tell apart,
 * is percent-encoded in UTF-8. Pure.
 */

import { utf8 } from '../../lib/bytes.ts'

/** A pack's file, without its ending. Different names give different files, also where upper case is lower case. */
export function fileNameOf(name: string, taken: ReadonlySet<string>): string {
  // Neither first (hidden files) nor last (Windows drops them) a dot or a blank.
  const plain = name.replaceAll(/[^A-Za-z0-9_. -]|^[. ]|[. ]$/gu, encoded)
  return taken.has(plain.toLowerCase()) ? name.replaceAll(/./gsu, encoded) : plain
}

/** The pack's name; a text with a percent sign that encodes nothing stands for itself. */
export function nameOfFile(fileName: string): string {
  try {
    return decodeURIComponent(fileName)
  } catch {
    // URIError: no encoded name, so it was never one of ours.
    return fileName
  }
}

function encoded(character: string): string {
  return [...utf8(character)].map((byte) => `%${byte.toString(16).toUpperCase().padStart(2, '0')}`).join('')
}
