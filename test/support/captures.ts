/** Requests that a real osqueryd sent, as recorded: head, empty line, body. */

import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

const ROOT = join(import.meta.dirname, '..', 'fixtures', 'captures')

export interface CapturedRequest {
  /** e.g. `0004-log-status.http`. */
  file: string
  /** Path and query as the agent's flags named them. */
  target: string
  headers: Record<string, string>
  body: Buffer
}

/** The requests of one situation, in the order in which they were sent. */
export function readCaptures(folder: string): CapturedRequest[] {
  return readdirSync(join(ROOT, folder))
    .filter((file) => file.endsWith('.http'))
    .sort()
    .map((file) => parseCapture(file, readFileSync(join(ROOT, folder, file))))
}

function parseCapture(file: string, bytes: Buffer): CapturedRequest {
  const split = bytes.indexOf('\r\n\r\n')
  const [requestLine = '', ...lines] = bytes.subarray(0, split).toString('latin1').split('\r\n')
  const headers = Object.fromEntries(
    lines.map((line) => {
      const colon = line.indexOf(':')
      return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()]
    }),
  )
  return { file, target: requestLine.split(' ')[1] ?? '/', headers, body: bytes.subarray(split + 4) }
}
