/** The body of a carve block against JSON.parse and a strict base64 reader, in any pieces. */

import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Base64Stream } from '../../src/carves/base64-stream.ts'
import { BlockReader } from '../../src/carves/block-reader.ts'
import { concatBytes, textOf, utf8, type Bytes } from '../../src/lib/bytes.ts'
import { check } from './check.ts'
import { cutText, damaged, isObject, parsed, pieceSizes } from './json-text.ts'

describe('a carve block', () => {
  const data = fc.uint8Array({ maxLength: 60 }).map((bytes) => Buffer.from(bytes).toString('base64'))
  // As our writer writes it, and as Boost's does: with escaped slashes.
  const written = fc
    .tuple(data, fc.constantFrom('/', '\\/', '\\u002f'))
    .map(([text, slash]) => text.replaceAll('/', slash))
  const members = fc
    .tuple(
      written,
      fc.shuffledSubarray(['block_id', 'session_id', 'request_id', 'more']),
      fc.nat({ max: 4 }),
      fc.constantFrom('', ' '),
    )
    .map(([text, names, turns, space]) => {
      const value = {
        block_id: '7',
        session_id: '"oec1-a\\u0062c"',
        request_id: '""',
        more: '[{"data":"x"}]',
      }
      const all = [['data', `"${text}"`], ...names.map((name) => [name, value[name as keyof typeof value]])]
      return [...all.slice(turns), ...all.slice(0, turns)].map(
        ([name, said]) => `${space}"${name}"${space}:${said}`,
      )
    })
    .map((all) => `{${all.join(',')}}`)

  function read(text: string, sizes: readonly number[]) {
    const reader = new BlockReader()
    const pieces: Bytes[] = []
    for (const piece of cutText(text, sizes)) {
      reader.push(piece)
      pieces.push(...reader.takePieces())
    }
    reader.end()
    pieces.push(...reader.takePieces())
    return {
      fault: reader.fault,
      members: reader.members,
      decodedBytes: reader.decodedBytes,
      data: concatBytes(pieces),
    }
  }

  it('is read as JSON.parse and a strict base64 reader would, in any pieces', () =>
    check(
      fc.property(members, pieceSizes, (text, sizes) => {
        const { data: said, more: _more, ...rest } = JSON.parse(text) as Record<string, string>
        const bytes = new Uint8Array(Buffer.from(said ?? '', 'base64'))
        expect(read(text, sizes)).toEqual({
          fault: null,
          members: rest,
          decodedBytes: bytes.length,
          data: bytes,
        })
      }),
      600,
    ))

  it('that is damaged is right or has a fault, whatever the pieces', () =>
    check(
      fc.property(damaged(members), pieceSizes, (text, sizes) => {
        const [{ fault, data: bytes }, whole] = [read(text, sizes), read(text, [1_000_000])]
        expect(fault === null).toBe(whole.fault === null)
        const said = parsed(textOf(utf8(text)))?.value
        if (fault !== null) return
        if (!isObject(said)) throw new Error('a block without a fault is an object')
        expect(bytes).toEqual(whole.data)
        expect(Buffer.from(bytes).toString('base64').replaceAll('=', '')).toBe(
          base64Of(String(said['data'])).replaceAll('=', ''),
        )
      }),
      1_000,
    ))

  /** The text with the spare bits of its last digit cleared, which a reader does not look at. */
  function base64Of(text: string): string {
    return Buffer.from(text, 'base64').toString('base64')
  }

  it('base64 is taken where its groups are whole, its alphabet right and its padding last', () =>
    check(
      fc.property(
        fc
          .oneof(
            data,
            damaged(data),
            fc.string({ maxLength: 9 }),
            fc.string({ unit: fc.constantFrom('A', '='), maxLength: 9 }),
          )
          .map((text) => textOf(utf8(text))),
        pieceSizes,
        (text, sizes) => {
          const stream = new Base64Stream()
          const decoded = cutText(text, sizes).map((piece) => stream.push(piece))
          const isRight = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/.test(text)
          expect(stream.end() && !decoded.includes(null)).toBe(isRight)
          if (isRight)
            expect(Buffer.concat(decoded.flatMap((piece) => piece ?? []))).toEqual(
              Buffer.from(text, 'base64'),
            )
        },
      ),
      800,
    ))
})
