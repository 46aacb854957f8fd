/**
 * An incremental, strict JSON scanner over bytes (RFC 8259): it finds where values begin and end without building
 * them, so that what an agent wrote can go on byte for byte and a body larger than memory can be walked through.
 * It accepts byte sequences inside strings that are not UTF-8, because agents send them (spec section 2).
 */

import type { Bytes } from './bytes.ts'
import { NameCapture, ValueCapture } from './json-capture.ts'
import {
  BACKSLASH,
  CLOSE_BRACE,
  CLOSE_BRACKET,
  COLON,
  COMMA,
  NUMBER_MAY_END,
  QUOTE,
  STATE,
  isHex,
  isSimpleEscape,
  isSpace,
  kindOf,
  nextNumberState,
  type State,
} from './json-grammar.ts'
import type { JsonFault, JsonVisitor } from './json-visitor.ts'

export type { JsonKind } from './json-grammar.ts'
export type { CapturedValue, JsonFault, JsonPath, JsonVisitor, ScanWish } from './json-visitor.ts'

/** Deeper nesting than this is a fault; agents' rows nest two or three deep. */
const MAX_DEPTH = 512

interface Frame {
  isArray: boolean
  /** Members are offered to the visitor. */
  descended: boolean
  index: number
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
  #name: NameCapture | null = null
  #capture: ValueCapture | null = null
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
    if (this.#name !== null) this.#name.start = 0
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
    this.#name?.keep(chunk.subarray(this.#name.start))
    this.#capture?.keep(chunk.subarray(this.#capture.start))
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
    this.#name = this.#frames.at(-1)?.descended === true ? new NameCapture(i + 1) : null
    return i + 1
  }

  #nameEnded(chunk: Bytes, end: number): void {
    this.#stringIsName = false
    this.#state = STATE.colon
    if (this.#name === null) return
    this.#name.keep(chunk.subarray(this.#name.start, end))
    this.#path[this.#path.length - 1] = this.#name.text()
    this.#name = null
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
      const at = { depth: this.#frames.length, start: i }
      this.#capture = new ValueCapture(this.#visitor, this.#path, wish, at)
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
    capture.keep(chunk.subarray(capture.start, end))
    this.#capture = null
    capture.finish()
  }
}
