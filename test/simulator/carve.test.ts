import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { text } from 'node:stream/consumers'
import { zstdDecompressSync } from 'node:zlib'
import { extract } from 'tar-stream'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { blockAt, blockCount, entryName, packArchive } from '../../src/simulator/carve.ts'
import { dialectOf } from '../../src/simulator/dialect.ts'

let folder = ''
beforeAll(() => {
  folder = mkdtempSync(path.join(tmpdir(), 'carve-test-'))
  writeFileSync(path.join(folder, 'ünï.txt'), 'content')
})
afterAll(() => rmSync(folder, { recursive: true }))

async function entriesOf(archive: Buffer): Promise<Record<string, string>> {
  const entries: Record<string, string> = {}
  const reader = extract()
  reader.end(archive)
  for await (const entry of reader) entries[entry.header.name] = await text(entry)
  return entries
}

describe('the archive', () => {
  it('is a tar whose entries carry the whole staging path', async () => {
    const file = path.join(folder, 'ünï.txt')
    expect(await entriesOf(await packArchive('guid', [file]))).toEqual({
      [`/tmp/osquery_carve_guid${file}`]: 'content',
    })
  })

  it('skips folders and missing files, and is a small tar even without any', async () => {
    const archive = await packArchive('guid', [folder, '/no/such/file'])
    expect(archive.byteLength).toBeGreaterThan(0)
    expect(await entriesOf(archive)).toEqual({})
  })

  it('of a file that is not real is made of what it is said to hold', async () => {
    const readFile = async () => ({
      content: Buffer.from('made up'),
      mode: 0o600,
      atimeMs: 0,
      mtimeMs: 1_500,
    })
    expect(await entriesOf(await packArchive('guid', ['/x'], { readFile }))).toEqual({
      '/tmp/osquery_carve_guid/x': 'made up',
    })
  })

  it('holds base names alone before 5.5.0', async () => {
    const file = path.join(folder, 'ünï.txt')
    expect(await entriesOf(await packArchive('guid', [file], { dialect: dialectOf('5.4.0') }))).toEqual({
      'ünï.txt': 'content',
    })
  })

  it('is one zstd frame if a flag says so', async () => {
    const file = path.join(folder, 'ünï.txt')
    const archive = await packArchive('guid', [file], { isCompressed: true })
    expect(archive.subarray(0, 4).toString('hex')).toBe('28b52ffd')
    expect(Object.values(await entriesOf(zstdDecompressSync(archive)))).toEqual(['content'])
  })

  it('names a drive without its colon', () => {
    expect(entryName('g', 'C:\\Windows\\x')).toBe('/tmp/osquery_carve_g/C/Windows/x')
  })
})

describe('blocks', () => {
  it.each([
    [10, 4, [4, 4, 2]],
    [8, 4, [4, 4]],
    [3, 4, [3]],
    [0, 4, []],
  ])('%d bytes in blocks of %d', (size, blockBytes, sizes) => {
    const archive = Buffer.alloc(size, 7)
    const blocks = Array.from({ length: blockCount(size, blockBytes) }, (_, i) =>
      blockAt(archive, i, blockBytes),
    )
    expect(blocks.map((block) => block.byteLength)).toEqual(sizes)
    expect(Buffer.concat(blocks).equals(archive)).toBe(true)
  })
})
