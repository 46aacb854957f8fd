/** Gzip files of several members: any gunzip reads the whole, we read each alone. */

import { gunzipSync, gzipSync } from 'node:zlib'
import { describe, expect, it } from 'vitest'
import { concatBytes, textOf, utf8, type Bytes } from '../../src/lib/bytes.ts'
import { gzipMember, inflateMembers, membersOf } from '../../src/lib/gzip-members.ts'

const TEXTS = ['one\n', 'two\n'.repeat(10_000), '']

async function file(): Promise<Bytes> {
  return concatBytes(await Promise.all(TEXTS.map((text) => gzipMember(utf8(text)))))
}

async function inflated(bytes: Bytes, maxBytes = 1e6): Promise<string[]> {
  return (await Array.fromAsync(inflateMembers(bytes, maxBytes))).map((piece) => textOf(piece))
}

describe('a file of members', () => {
  it('is read whole by any gunzip', async () => {
    expect(gunzipSync(await file()).toString()).toBe(TEXTS.join(''))
  })

  it('is read member by member, each also alone', async () => {
    const bytes = await file()
    expect(await inflated(bytes)).toEqual(TEXTS)
    const [, second] = [...membersOf(bytes)]
    expect(gunzipSync(second ?? new Uint8Array()).toString()).toBe(TEXTS[1])
  })

  it('that says no lengths is one member', async () => {
    expect(await inflated(new Uint8Array(gzipSync('plain')))).toEqual(['plain'])
  })

  it.each([
    ['damaged', (bytes: Bytes) => bytes.fill(0, 40, 60)],
    ['cut off', (bytes: Bytes) => bytes.subarray(0, bytes.length - 40)],
  ])('that is %s is a failure', async (_what, harm) => {
    await expect(inflated(harm(await file()))).rejects.toThrow('corrupt')
  })

  it('with a member over the limit is a failure', async () => {
    await expect(inflated(await file(), 1_000)).rejects.toThrow('too-large')
  })
})
