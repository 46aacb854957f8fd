/** What a viewer says over its WebSocket. Pure. */

/** More credits than this at once are one mistake or another. */
const MAX_CREDITS = 1_000_000
const MAX_MESSAGE_CHARACTERS = 1_024

export type FeedCommand = { type: 'credit'; rows: number } | { type: 'active' }

/**
 * `{"type":"credit","rows":500}`: the viewer takes so many more rows. `{"type":"active"}`: its operator is there. Null
 * for anything else.
 */
export function readCommand(message: string | ArrayBuffer): FeedCommand | null {
  if (typeof message !== 'string' || message.length > MAX_MESSAGE_CHARACTERS) return null
  const parsed = parse(message)
  if (typeof parsed !== 'object' || parsed === null) return null
  const { type, rows } = parsed as { type?: unknown; rows?: unknown }
  if (type === 'active') return { type }
  const isCredit = typeof rows === 'number' && Number.isInteger(rows) && rows > 0 && rows <= MAX_CREDITS
  return type === 'credit' && isCredit ? { type, rows } : null
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    // What is no JSON is no command.
    return null
  }
}
