/**
 * An incremental, strict JSON scanner over bytes (RFC 8259): it finds where values begin and end without building
 * them, so that what an agent wrote can go on byte for byte and a body larger than memory can be walked through.
 * It accepts byte sequences inside strings that are not UTF-8, because agents send them (spec section 2).
 */

import { concatBytes, textOf, type Bytes } from './bytes.ts'
import {
  BACKSLASH,
  CLOSE_BRACE,
  CLOSE_BRACKET,
  COLON,
  COMMA,
  NUMBER_MAY_END,
  QUOTE,
  isHex,
  isSimpleEscape,
  isSpace,
  kindOf,
  nextNumberState,
  type JsonKind,
} from './json-grammar.ts'

export type { JsonKind } from './json-grammar.ts'

/** Member names and array indexes from the root to a value. */
export type JsonPath = readonly (string | number)[]

/**
 * What the visitor wants of a value: `descend` into its members, its bytes (`maxBytes` at most), every piece of
 * its bytes as it comes (`stream`), or nothing (`skip`: still checked).
 */
export type ScanWish = 'descend' | 'skip' | 'stream' | { maxBytes: number }

export interface CapturedValue {
  /** The value as it was written, or null where it was longer than asked for. */
  bytes: Bytes | null
  totalBytes: number
}

export interface JsonVisitor {
  /** Asked for the root, and for each member of a value that was descended into. */
  enter(path: JsonPath, kind: JsonKind): ScanWish
  /** A captured value ended. The path is valid during the call only. */
  captured?(path: JsonPath, value: CapturedValue): void
  /** A piece of a streamed value, quotes and all. The bytes are valid during the call only. */
  piece?(path: JsonPath, bytes: Uint8Array): void
  /** A streamed or descended value ended. */
  left?(path: JsonPath): void
}

/** Where and why a text stopped being JSON. */
export interface JsonFault {
  offset: number
  detail: string
}

/** Deeper nesting than this is a fault; agents' rows nest two or three deep. */
const MAX_DEPTH = 512
/** Longest member name, as written, that is kept for the path; a longer one is "" there. */
const MAX_NAME_BYTES = 4_096

const STATE = {
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
type State = (typeof STATE)[keyof typeof STATE]

interface Frame {
  isArray: boolean
  /** Members are offered to the visitor. */
  descended: boolean
  index: number
}

interface Capture {
  depth: number
  maxBytes: number
  streamed: boolean
  parts: Bytes[]
  totalBytes: number
  /** Where in the present chunk the value's bytes begin. */
  start: number
}

export class JsonScanner {
  readonly #visitor: JsonVisitor
  readonly #frames: Frame[] = []
  readonly #path: (string | number)[] = []
  #state: State = STATE.value
  #stringIsName = false
  #hexDigits = 0
  #numberState = 0
  #literal = ''
  #literalIndex = 0
  #nameParts: Uint8Array[] | null = null
  #nameStart = 0
  #nameBytes = 0
  #capture: Capture | null = null
  #offset = 0
  #fault: JsonFault | null = null

  constructor(visitor: JsonVisitor) {
    this.#visitor = visitor
  }

  /** The first fault, or null. After a fault nothing more is read. */
  get fault(): JsonFault | null {
    return this.#fault
  }

  /** Bytes read so far. */
  get offset(): number {
    return this.#offset
  }

  /** Reads the next bytes; false after a fault. The chunk must not be changed afterwards: captures point into it. */
  push(chunk: Bytes): boolean {
    if (this.#fault !== null) return false
    if (this.#capture !== null) this.#capture.start = 0
    this.#nameStart = 0
    const stoppedAt = this.#scan(chunk)
    this.#offset += stoppedAt
    if (this.#fault === null) this.#keepOpenPieces(chunk)
    return this.#fault === null
  }

  /** Says that no more bytes come; the fault, if the text was no complete JSON value. */
  end(): JsonFault | null {
    if (this.#fault !== null) return this.#fault
    if (this.#state === STATE.number && this.#frames.length === 0 && NUMBER_MAY_END[this.#numberState]) {
      this.#valueEnded(new Uint8Array(0), 0)
    }
    if (this.#state !== STATE.done) this.#fail('the text ends inside a value', 0)
    return this.#fault
  }

  #fail(detail: string, at: number): void {
    this.#fault ??= { offset: this.#offset + at, detail }
  }

  /** What is open at the end of a chunk is kept, so that the chunk itself may go. */
  #keepOpenPieces(chunk: Bytes): void {
    if (this.#nameParts !== null && this.#state >= STATE.string && this.#stringIsName) {
      this.#keepName(chunk.subarray(this.#nameStart))
    }
    if (this.#capture !== null) this.#keepCaptured(this.#capture, chunk.subarray(this.#capture.start))
  }

  #keepName(bytes: Uint8Array): void {
    this.#nameBytes += bytes.length
    if (this.#nameBytes <= MAX_NAME_BYTES) this.#nameParts?.push(bytes)
  }

  #keepCaptured(capture: Capture, bytes: Bytes): void {
    if (bytes.length === 0) return
    capture.totalBytes += bytes.length
    if (capture.streamed) this.#visitor.piece?.(this.#path, bytes)
    else if (capture.totalBytes <= capture.maxBytes) capture.parts.push(bytes)
    else capture.parts.length = 0
  }

  /** The main loop: one pass over the chunk. Returns how many bytes were read. */
  #scan(chunk: Bytes): number {
    const length = chunk.length
    let i = 0
    while (i < length) {
      const byte = chunk[i] as number
      switch (this.#state) {
        case STATE.string:
          i = this.#scanString(chunk, i)
          break
        case STATE.value:
        case STATE.valueOrEnd:
          if (isSpace(byte)) i += 1
          else if (byte === CLOSE_BRACKET && this.#state === STATE.valueOrEnd)
            i = this.#closeContainer(chunk, i, true)
          else i = this.#openValue(i, byte)
          break
        case STATE.nameOrEnd:
        case STATE.name:
          if (isSpace(byte)) i += 1
          else if (byte === QUOTE) i = this.#openName(i)
          else if (byte === CLOSE_BRACE && this.#state === STATE.nameOrEnd)
            i = this.#closeContainer(chunk, i, false)
          else this.#fail('a member name in quotes was expected', i)
          break
        case STATE.colon:
          if (isSpace(byte)) i += 1
          else if (byte === COLON) {
            this.#state = STATE.value
            i += 1
          } else this.#fail('a colon was expected', i)
          break
        case STATE.commaOrEnd:
          i = this.#scanCommaOrEnd(chunk, i, byte)
          break
        case STATE.escape:
          i = this.#scanEscape(i, byte)
          break
        case STATE.hex:
          if (!isHex(byte)) this.#fail('four hexadecimal digits were expected', i)
          this.#hexDigits += 1
          if (this.#hexDigits === 4) this.#state = STATE.string
          i += 1
          break
        case STATE.number:
          i = this.#scanNumber(chunk, i)
          break
        case STATE.literal:
          if (byte !== this.#literal.charCodeAt(this.#literalIndex))
            this.#fail(`${this.#literal} was expected`, i)
          this.#literalIndex += 1
          i += 1
          if (this.#fault === null && this.#literalIndex === this.#literal.length) this.#valueEnded(chunk, i)
          break
        case STATE.done:
          if (isSpace(byte)) i += 1
          else this.#fail('something follows the value', i)
          break
      }
      if (this.#fault !== null) return i
    }
    return i
  }

  #scanString(chunk: Bytes, from: number): number {
    const length = chunk.length
    let i = from
    while (i < length) {
      const byte = chunk[i] as number
      if (byte === QUOTE) {
        if (this.#stringIsName) this.#nameEnded(chunk, i)
        else this.#valueEnded(chunk, i + 1)
        return i + 1
      }
      if (byte === BACKSLASH) {
        this.#state = STATE.escape
        return i + 1
      }
      if (byte < 0x20) {
        this.#fail('a control character inside a string', i)
        return i
      }
      i += 1
    }
    return i
  }

  #scanEscape(i: number, byte: number): number {
    if (byte === 0x75) {
      this.#hexDigits = 0
      this.#state = STATE.hex
    } else if (isSimpleEscape(byte)) this.#state = STATE.string
    else this.#fail('an unknown escape', i)
    return i + 1
  }

  #scanCommaOrEnd(chunk: Bytes, i: number, byte: number): number {
    if (isSpace(byte)) return i + 1
    const frame = this.#frames.at(-1)
    if (frame === undefined) {
      this.#fail('something follows the value', i)
      return i
    }
    if (byte === COMMA) {
      if (frame.isArray) {
        frame.index += 1
        if (frame.descended) this.#path[this.#path.length - 1] = frame.index
      }
      this.#state = frame.isArray ? STATE.value : STATE.name
      return i + 1
    }
    if (byte === (frame.isArray ? CLOSE_BRACKET : CLOSE_BRACE))
      return this.#closeContainer(chunk, i, frame.isArray)
    this.#fail('a comma or the end of the container was expected', i)
    return i
  }

  #scanNumber(chunk: Bytes, from: number): number {
    let i = from
    while (i < chunk.length) {
      const next = nextNumberState(this.#numberState, chunk[i] as number)
      if (next === -1) {
        if (NUMBER_MAY_END[this.#numberState]) this.#valueEnded(chunk, i)
        else this.#fail('a number breaks off', i)
        return i
      }
      this.#numberState = next
      i += 1
    }
    return i
  }

  #openName(i: number): number {
    this.#stringIsName = true
    this.#state = STATE.string
    this.#nameParts = this.#frames.at(-1)?.descended === true ? [] : null
    this.#nameStart = i + 1
    this.#nameBytes = 0
    return i + 1
  }

  #nameEnded(chunk: Bytes, end: number): void {
    this.#stringIsName = false
    this.#state = STATE.colon
    if (this.#nameParts === null) return
    this.#keepName(chunk.subarray(this.#nameStart, end))
    // A name that is too long is kept nowhere: half of one could end inside an escape.
    const raw = this.#nameBytes > MAX_NAME_BYTES ? '' : textOf(concatBytes(this.#nameParts))
    this.#path[this.#path.length - 1] = raw.includes('\\') ? (JSON.parse(`"${raw}"`) as string) : raw
    this.#nameParts = null
  }

  #openValue(i: number, byte: number): number {
    const kind = kindOf(byte)
    if (kind === null) {
      this.#fail('a value was expected', i)
      return i
    }
    const parent = this.#frames.at(-1)
    const offered = this.#capture === null && (parent === undefined || parent.descended)
    const wish = offered ? this.#visitor.enter(this.#path, kind) : 'skip'
    if (typeof wish === 'object' || wish === 'stream') {
      this.#capture = {
        depth: this.#frames.length,
        maxBytes: typeof wish === 'object' ? wish.maxBytes : 0,
        streamed: wish === 'stream',
        parts: [],
        totalBytes: 0,
        start: i,
      }
    }
    switch (kind) {
      case 'object':
      case 'array':
        return this.#openContainer(i, kind === 'array', wish === 'descend')
      case 'string':
        this.#stringIsName = false
        this.#state = STATE.string
        return i + 1
      case 'number':
        this.#state = STATE.number
        this.#numberState = byte === 0x2d ? 0 : byte === 0x30 ? 1 : 2
        return i + 1
      case 'literal':
        this.#literal = byte === 0x74 ? 'true' : byte === 0x66 ? 'false' : 'null'
        this.#literalIndex = 1
        this.#state = STATE.literal
        return i + 1
    }
  }

  #openContainer(i: number, isArray: boolean, descended: boolean): number {
    if (this.#frames.length >= MAX_DEPTH) {
      this.#fail(`nested deeper than ${MAX_DEPTH}`, i)
      return i
    }
    this.#frames.push({ isArray, descended, index: 0 })
    if (descended) this.#path.push(isArray ? 0 : '')
    this.#state = isArray ? STATE.valueOrEnd : STATE.nameOrEnd
    return i + 1
  }

  #closeContainer(chunk: Bytes, i: number, isArray: boolean): number {
    const frame = this.#frames.pop()
    if (frame === undefined || frame.isArray !== isArray) {
      this.#fail('a container is closed that is not open', i)
      return i
    }
    if (frame.descended) {
      this.#path.pop()
      this.#visitor.left?.(this.#path)
    }
    this.#valueEnded(chunk, i + 1)
    return i + 1
  }

  #valueEnded(chunk: Bytes, end: number): void {
    this.#state = this.#frames.length === 0 ? STATE.done : STATE.commaOrEnd
    const capture = this.#capture
    if (capture === null || capture.depth !== this.#frames.length) return
    this.#keepCaptured(capture, chunk.subarray(capture.start, end))
    this.#capture = null
    if (capture.streamed) this.#visitor.left?.(this.#path)
    else {
      const fits = capture.totalBytes <= capture.maxBytes
      const [only] = capture.parts
      const whole = capture.parts.length === 1 && only !== undefined ? only : concatBytes(capture.parts)
      this.#visitor.captured?.(this.#path, { bytes: fits ? whole : null, totalBytes: capture.totalBytes })
    }
  }
}
