/** The bytes of JSON's grammar (RFC 8259): what may follow what. Pure tables for the scanner. */

export type JsonKind = 'object' | 'array' | 'string' | 'number' | 'literal'

export const QUOTE = 0x22
export const BACKSLASH = 0x5c
export const COMMA = 0x2c
export const COLON = 0x3a
const OPEN_BRACE = 0x7b
export const CLOSE_BRACE = 0x7d
const OPEN_BRACKET = 0x5b
export const CLOSE_BRACKET = 0x5d

/** Number grammar states that may end a number: after 0, digits, fraction digits, exponent digits. */
export const NUMBER_MAY_END = [false, true, true, false, true, false, false, true]

/** Space, line feed, carriage return, tab. */
export function isSpace(byte: number): boolean {
  return byte === 0x20 || byte === 0x0a || byte === 0x0d || byte === 0x09
}

/** A hexadecimal digit of either case. */
export function isHex(byte: number): boolean {
  return (byte >= 0x30 && byte <= 0x39) || (byte >= 0x41 && byte <= 0x46) || (byte >= 0x61 && byte <= 0x66)
}

/** The letter of a two-letter escape: `"` `\` `/` b f n r t */
export function isSimpleEscape(byte: number): boolean {
  return (
    byte === QUOTE ||
    byte === BACKSLASH ||
    byte === 0x2f ||
    byte === 0x62 ||
    byte === 0x66 ||
    byte === 0x6e ||
    byte === 0x72 ||
    byte === 0x74
  )
}

/** What kind of value begins with this byte; null where none does. */
export function kindOf(byte: number): JsonKind | null {
  if (byte === OPEN_BRACE) return 'object'
  if (byte === OPEN_BRACKET) return 'array'
  if (byte === QUOTE) return 'string'
  if (byte === 0x2d || (byte >= 0x30 && byte <= 0x39)) return 'number'
  return byte === 0x74 || byte === 0x66 || byte === 0x6e ? 'literal' : null
}

/**
 * The number grammar as a state machine: 0 after "-", 1 after a leading 0, 2 digits, 3 after ".", 4 fraction digits,
 * 5 after "e", 6 after the exponent's sign, 7 exponent digits. -1: the byte does not belong to the number.
 */
export function nextNumberState(state: number, byte: number): number {
  const isDigit = byte >= 0x30 && byte <= 0x39
  switch (state) {
    case 0:
      return byte === 0x30 ? 1 : isDigit ? 2 : -1
    case 1:
    case 2:
      if (isDigit) return state === 2 ? 2 : -1
      return byte === 0x2e ? 3 : isExponent(byte) ? 5 : -1
    case 3:
      return isDigit ? 4 : -1
    case 4:
      return isDigit ? 4 : isExponent(byte) ? 5 : -1
    case 5:
      return byte === 0x2b || byte === 0x2d ? 6 : isDigit ? 7 : -1
    default:
      return isDigit ? 7 : -1
  }
}

function isExponent(byte: number): boolean {
  return byte === 0x65 || byte === 0x45
}

/** Where a scan stands: what may come next. */
export const STATE = {
  value: 0,
  valueOrEnd: 1,
  nameOrEnd: 2,
  name: 3,
  colon: 4,
  commaOrEnd: 5,
  string: 6,
  escape: 7,
  hex: 8,
  number: 9,
  literal: 10,
  done: 11,
} as const
export type State = (typeof STATE)[keyof typeof STATE]
