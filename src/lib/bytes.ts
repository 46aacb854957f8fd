/**
 * Bytes and their text forms. Knows nothing of osquery.
 * A `Uint8Array` here always sits on a plain ArrayBuffer, as WebCrypto and R2 want it.
 */
export type Bytes = Uint8Array<ArrayBuffer>

const encoder = new TextEncoder()
const lenientDecoder = new TextDecoder('utf-8', { fatal: false, ignoreBOM: true })
const strictDecoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/** UTF-8 of a text. */
export function utf8(text: string): Bytes {
  return encoder.encode(text) as Bytes
}

/** Text of UTF-8 bytes; a byte sequence that is not UTF-8 becomes U+FFFD (agents do send such, spec section 2). */
export function textOf(bytes: Uint8Array): string {
  return lenientDecoder.decode(bytes)
}

/** Text of UTF-8 bytes, or null where they are not valid UTF-8. */
export function strictTextOf(bytes: Uint8Array): string | null {
  try {
    return strictDecoder.decode(bytes)
  } catch {
    // The decoder's only failure is "not UTF-8", which is the answer here, not an error.
    return null
  }
}

/** Joins byte arrays into one. */
export function concatBytes(parts: readonly Uint8Array[]): Bytes {
  const joined = new Uint8Array(parts.reduce((total, part) => total + part.length, 0))
  let offset = 0
  for (const part of parts) {
    joined.set(part, offset)
    offset += part.length
  }
  return joined
}

/** Copies of bytes in pieces of a size; the last may be smaller. */
export function piecesOf(bytes: Bytes, maxBytes: number): Bytes[] {
  const pieces: Bytes[] = []
  for (let at = 0; at < bytes.length; at += maxBytes) pieces.push(bytes.slice(at, at + maxBytes))
  return pieces
}

/** Each byte's two digits: looked up, because every request reads two UUIDs out of its node key. */
const HEX = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, '0'))

/** Lower-case hexadecimal. */
export function hexOf(bytes: Uint8Array): string {
  let text = ''
  for (const byte of bytes) text += HEX[byte] ?? ''
  return text
}

/** base64 with padding (RFC 4648 section 4). */
export function base64Of(bytes: Uint8Array): string {
  let binary = ''
  for (const byte of bytes) binary += String.fromCharCode(byte)
  return btoa(binary)
}

/** base64url without padding (RFC 4648 section 5). */
export function base64UrlOf(bytes: Uint8Array): string {
  return base64Of(bytes).replaceAll('+', '-').replaceAll('/', '_').replaceAll('=', '')
}

const BASE64URL = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'
/** What a character stands for, by its code; -1: nothing. */
const SEXTETS = new Int8Array(128).fill(-1)
for (let value = 0; value < BASE64URL.length; value += 1) SEXTETS[BASE64URL.charCodeAt(value)] = value

/**
 * Bytes of a base64url text without padding; null where it is not one. By a table: atob wants another alphabet and gives
 * characters, and every request brings a node key.
 */
export function bytesOfBase64Url(text: string): Bytes | null {
  if (text.length % 4 === 1) return null
  const bytes = new Uint8Array(Math.floor((text.length * 3) / 4))
  let filled = 0
  let bits = 0
  let bitCount = 0
  for (let i = 0; i < text.length; i += 1) {
    const sextet = SEXTETS[text.charCodeAt(i)] ?? -1
    if (sextet === -1) return null
    bits = (bits << 6) | sextet
    bitCount += 6
    if (bitCount >= 8) {
      bitCount -= 8
      bytes[filled] = (bits >> bitCount) & 0xff
      bits &= (1 << bitCount) - 1
      filled += 1
    }
  }
  return bytes
}

/** Whether the bits at the end of a base64url text that stand for no byte are zero, as encoders write them. */
export function hasCleanEnd(text: string): boolean {
  const sextet = SEXTETS[text.charCodeAt(text.length - 1)] ?? 0
  const spareBits = text.length % 4 === 2 ? 0b1111 : text.length % 4 === 3 ? 0b11 : 0
  return (sextet & spareBits) === 0
}

/** Bytes of a standard base64 text (padding optional); null where it is not one. */
export function bytesOfBase64(text: string): Bytes | null {
  try {
    const binary = atob(text)
    const bytes = new Uint8Array(binary.length)
    for (let i = 0; i < binary.length; i += 1) bytes[i] = binary.charCodeAt(i)
    return bytes
  } catch {
    // atob's only failure is "not base64".
    return null
  }
}

/** SHA-256. */
export async function sha256(bytes: Uint8Array): Promise<Bytes> {
  return new Uint8Array(await crypto.subtle.digest('SHA-256', bytes as Bytes))
}

/** SHA-256 of a text's UTF-8, as lower-case hexadecimal: how secrets and tokens are stored. */
export async function sha256HexOfText(text: string): Promise<string> {
  return hexOf(await sha256(utf8(text)))
}

const UUID_SHAPE = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/

/** Whether a text is a UUID in lower-case canonical form. */
export function isUuid(text: string): boolean {
  return UUID_SHAPE.test(text)
}

/** The 16 bytes of a canonical UUID. */
export function bytesOfUuid(uuid: string): Bytes {
  const hex = uuid.replaceAll('-', '')
  const bytes = new Uint8Array(16)
  for (let i = 0; i < 16; i += 1) bytes[i] = Number.parseInt(hex.slice(i * 2, i * 2 + 2), 16)
  return bytes
}

/** The canonical text of 16 bytes as a UUID. */
export function uuidOfBytes(bytes: Uint8Array): string {
  let text = ''
  for (let i = 0; i < 16; i += 1) {
    if (i === 4 || i === 6 || i === 8 || i === 10) text += '-'
    text += HEX[bytes[i] ?? 0] ?? ''
  }
  return text
}

/** A UUID version 7 (RFC 9562): sorts by the given time in milliseconds. */
export function timeOrderedUuid(nowMs: number): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16))
  let rest = nowMs
  for (let i = 5; i >= 0; i -= 1) {
    bytes[i] = rest % 256
    rest = Math.floor(rest / 256)
  }
  bytes[6] = 0x70 | ((bytes[6] ?? 0) & 0x0f)
  bytes[8] = 0x80 | ((bytes[8] ?? 0) & 0x3f)
  return uuidOfBytes(bytes)
}

/** A secret text: `byteCount` random bytes as base64url. */
export function randomText(byteCount: number): string {
  return base64UrlOf(crypto.getRandomValues(new Uint8Array(byteCount)))
}
