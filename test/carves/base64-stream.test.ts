import { describe, expect, it } from 'vitest'
import { Base64Stream } from '../../src/carves/base64-stream.ts'
import { concatBytes, utf8 } from '../../src/lib/bytes.ts'

/** What comes out of pieces cut at these places; null where it is refused. */
function decode(text: string, cuts: readonly number[] = []): string | null {
  const stream = new Base64Stream()
  const decoded: Uint8Array[] = []
  const edges = [0, ...cuts, text.length]
  for (let i = 1; i < edges.length; i += 1) {
    const bytes = stream.push(utf8(text.slice(edges[i - 1], edges[i])))
    if (bytes === null) return null
    decoded.push(bytes)
  }
  return stream.end() ? Buffer.from(concatBytes(decoded)).toString('latin1') : null
}

describe('base64, as it comes', () => {
  const samples = [
    '',
    'f',
    'fo',
    'foo',
    'foob',
    'fooba',
    'foobar',
    '\0\xff\xfe~?>',
    'a longer text, of 31 characters',
  ]

  it.each(samples)('decodes %j, whichever way it is cut in three', (sample) => {
    const text = Buffer.from(sample, 'latin1').toString('base64')
    for (let first = 0; first <= text.length; first += 1) {
      for (let second = first; second <= text.length; second += 1)
        expect(decode(text, [first, second])).toBe(sample)
    }
  })

  it('decodes every byte there is, one character at a time', () => {
    const all = Buffer.from(Array.from({ length: 256 }, (_, byte) => byte))
    const text = all.toString('base64')
    const cuts = Array.from({ length: text.length }, (_, index) => index)
    expect(decode(text, cuts)).toBe(all.toString('latin1'))
  })

  it.each(['!', '-', '_', ' ', '\n', '\r', '=', '\0', '\x7f', '"'])(
    'refuses %j at every place of a group, in the first, a middle and the last one',
    (bad) => {
      const text = Buffer.from('twelve bytes').toString('base64')
      for (let at = 0; at < text.length; at += 1) {
        const broken = text.slice(0, at) + bad + text.slice(at + 1)
        // One padding character as the very last one is right.
        if (bad === '=' && at === text.length - 1) continue
        expect(decode(broken), `${at}`).toBeNull()
        expect(decode(broken, [at, at]), `${at}, cut`).toBeNull()
      }
    },
  )

  it.each(['Z', 'Zg', 'Zm8', 'Zg=', 'Zm9v=', 'Z===', '====', 'Zg==Zg==', 'Zg==Zm9v', 'Zm8=a', 'Zg==='])(
    'refuses %j',
    (text) => {
      for (let at = 0; at <= text.length; at += 1) expect(decode(text, [at])).toBeNull()
    },
  )

  it('stays refused', () => {
    const stream = new Base64Stream()
    expect(stream.push(utf8('*'))).toBeNull()
    expect(stream.push(utf8('Zm9v'))).toBeNull()
    expect(stream.end()).toBe(false)
  })
})
