import { gzipSync } from 'node:zlib'
import { describe, expect, it } from 'vitest'
import {
  announcedBytes,
  integerMember,
  readSmallObject,
  readWhole,
  textMember,
} from '../../src/agent/body.ts'
import { MAX_SMALL_BODY_BYTES } from '../../src/agent/constants.ts'
import { concatBytes, utf8 } from '../../src/lib/bytes.ts'
import { Deadline, DeadlineExceeded } from '../../src/lib/deadline.ts'

type Piece = Uint8Array | string

/** A request as it comes in: its body in pieces, its length announced or not. */
function request(pieces: readonly Piece[], headers: Record<string, string> = {}): Request {
  const body = new ReadableStream({
    start(controller) {
      for (const piece of pieces) controller.enqueue(typeof piece === 'string' ? utf8(piece) : piece)
      controller.close()
    },
  })
  return new Request('http://localhost/', { method: 'POST', body, headers, duplex: 'half' } as RequestInit)
}

const soon = (): Deadline => new Deadline(5_000)

describe('announcedBytes', () => {
  it.each([
    ['12', 12],
    ['0', 0],
    ['', null],
    ['-1', null],
    ['1e3', null],
    ['9'.repeat(16), null],
    [undefined, null],
  ])('%j is %j', (text, bytes) => {
    const headers = new Headers()
    if (text !== undefined) headers.set('content-length', text)
    expect(announcedBytes({ headers } as Request)).toBe(bytes)
  })
})

describe('readWhole', () => {
  it('joins the pieces, to the limit and not beyond it', async () => {
    expect(await readWhole(request(['ab', '', 'cd']), 4, soon())).toEqual({ ok: true, value: utf8('abcd') })
    expect(await readWhole(request(['ab', 'cde']), 4, soon())).toEqual({
      ok: false,
      reason: { kind: 'too-large', maxBytes: 4 },
    })
  })

  it('refuses by the announced length, before it reads', async () => {
    const announced = request(['ab'], { 'content-length': '5' })
    expect((await readWhole(announced, 4, soon())).ok).toBe(false)
    expect(announced.bodyUsed).toBe(false)
  })

  it('does not believe an announced length that is too small', async () => {
    expect((await readWhole(request(['abcde'], { 'content-length': '1' }), 4, soon())).ok).toBe(false)
  })

  it('takes a request without a body as no bytes', async () => {
    const bare = new Request('http://localhost/', { method: 'POST' })
    expect(await readWhole(bare, 4, soon())).toEqual({ ok: true, value: new Uint8Array(0) })
  })

  it('gives an agent up that sends too slowly', async () => {
    const body = new ReadableStream({ start: (controller) => controller.enqueue(utf8('{')) })
    const slow = new Request('http://localhost/', { method: 'POST', body, duplex: 'half' } as RequestInit)
    await expect(readWhole(slow, 4, new Deadline(20))).rejects.toThrow(DeadlineExceeded)
  })
})

describe('readSmallObject', () => {
  it.each<[string, Piece[]]>([
    ['plain', ['{"node_key"', ':"k"}']],
    ['gzip, by its magic, whatever the headers say', [new Uint8Array(gzipSync('{"node_key":"k"}'))]],
    ['with spaces around it', [' \r\n{ "node_key" : "k" }\n']],
  ])('reads an object: %s', async (_name, pieces) => {
    expect(await readSmallObject(request(pieces), soon())).toEqual({ ok: true, value: { node_key: 'k' } })
  })

  it('reads bytes that are not UTF-8 leniently (spec section 2)', async () => {
    const bytes = concatBytes([utf8('{"host_identifier":"a'), new Uint8Array([0xff]), utf8('"}')])
    expect(await readSmallObject(request([bytes]), soon())).toEqual({
      ok: true,
      value: { host_identifier: 'a\ufffd' },
    })
  })

  it.each<[string, Piece]>([
    ['nothing', ''],
    ['a body that breaks off', '{"node_key":'],
    ['a form', 'node_key=abc'],
    ['a list', '[]'],
    ['a text', '"x"'],
    ['null', 'null'],
    ['a number', '7'],
    ['gzip that breaks off', new Uint8Array(gzipSync('{"node_key":"k"}')).slice(0, -4)],
    ['gzip of a list', new Uint8Array(gzipSync('[]'))],
    ['a bomb', new Uint8Array(gzipSync(new Uint8Array(MAX_SMALL_BODY_BYTES + 1)))],
  ])('refuses %s', async (_name, piece) => {
    expect(await readSmallObject(request([piece]), soon())).toMatchObject({
      ok: false,
      reason: { kind: 'bad-request' },
    })
  })

  it('has a limit', async () => {
    const padded = (bytes: number): string => `{}${' '.repeat(bytes - 2)}`
    expect((await readSmallObject(request([padded(MAX_SMALL_BODY_BYTES)]), soon())).ok).toBe(true)
    expect(await readSmallObject(request([padded(MAX_SMALL_BODY_BYTES + 1)]), soon())).toEqual({
      ok: false,
      reason: { kind: 'too-large', maxBytes: MAX_SMALL_BODY_BYTES },
    })
  })

  it('does not quote the body in its reason: it may hold secrets', async () => {
    const refused = await readSmallObject(request(['{"enroll_secret":"s3cr3t"']), soon())
    expect(JSON.stringify(refused)).not.toContain('s3cr3t')
  })
})

describe('members, in the shapes of all versions (spec section 10)', () => {
  it.each([
    ['x', 'x'],
    ['', ''],
    [9, '9'],
    [null, ''],
    [true, ''],
    [['x'], ''],
    [undefined, ''],
  ])('text %j is %j', (value, text) => {
    expect(textMember({ a: value }, 'a')).toBe(text)
  })

  it.each([
    [7, 7],
    [0, 0],
    ['7', 7],
    ['007', 7],
    ['', null],
    ['-1', null],
    ['1.5', null],
    ['0x10', null],
    [' 7', null],
    ['9'.repeat(16), null],
    [1.5, null],
    [2 ** 53, null],
    [null, null],
    [undefined, null],
    [[7], null],
  ])('integer %j is %j', (value, number) => {
    expect(integerMember({ a: value }, 'a')).toBe(number)
  })
})
