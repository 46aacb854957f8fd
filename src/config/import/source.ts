/** A file that was read as JSON, and the way back from a place in its value to a line. Types only. */

/** A file of a configuration's directory; its path has `/` whatever the machine. */
export interface SourceFile {
  path: string
  text: string
}

/** Where something stands. The pointer (RFC 6901) is into the file's own value; a line counts from 1. */
export interface SourcePlace {
  file: string
  pointer: string
  line: number | null
}

/** What is wrong or odd, and where. */
export interface Remark extends SourcePlace {
  rule: string
}

/** JSON text, numbers as they were written, that came from one or more files. */
export interface Source {
  json: string
  place: (pointer: string) => SourcePlace
  warnings: readonly Remark[]
}
