import { gzipSync } from 'node:zlib'
import { describe, expect, it } from 'vitest'
import { utf8, type Bytes } from '../../src/lib/bytes.ts'
import { NodeKeyFinder } from '../../src/logs/node-key-finder.ts'

const KEY = 'oen1-AbC_123'

async function find(body: string | Bytes, chunkBytes = 1_000_000, maxBytes = 1_000_000) {
  const bytes = typeof body === 'string' ? utf8(body) : body
  const finder = new NodeKeyFinder(maxBytes)
  for (let i = 0; i < bytes.length; i += chunkBytes) await finder.push(bytes.slice(i, i + chunkBytes))
  return finder.end()
}

function gzipped(text: string): Bytes {
  return new Uint8Array(gzipSync(text))
}

describe.each([1, 3, 1_000_000])('NodeKeyFinder, in chunks of %i bytes', (chunkBytes) => {
  it.each([
    ['first', `{"node_key":"${KEY}","data":[]}`],
    ['last', `{"data":[{"node_key":"not this"}],"log_type":"result","node_key":"${KEY}"}`],
    ['escaped', String.raw`{"node\u005fkey":"oen1-AbC\u005f123"}`],
  ])('finds the key where it comes %s, plain and gzip', async (_where, body) => {
    expect(await find(body, chunkBytes)).toEqual({ kind: 'found', key: KEY })
    expect(await find(gzipped(body), chunkBytes)).toEqual({ kind: 'found', key: KEY })
  })

  it('tells a body without a key from one that cannot be read', async () => {
    for (const body of ['{}', '{"data":[{"node_key":"x"}]}', '[]', '{"node_key":{}}']) {
      expect(await find(body, chunkBytes)).toEqual({ kind: 'absent' })
    }
    for (const body of ['', 'x', '{"data":[', gzipped('{}').slice(0, 10)]) {
      expect(await find(body, chunkBytes)).toEqual({ kind: 'unreadable', salvaged: null })
    }
  })

  it('takes an empty key and a number as they are', async () => {
    expect(await find('{"node_key":""}', chunkBytes)).toEqual({ kind: 'found', key: '' })
    expect(await find('{"node_key":12}', chunkBytes)).toEqual({ kind: 'found', key: '12' })
  })

  it('salvages what looks like a key from a body that is no JSON, but not from inside a text', async () => {
    const broken = `{"data":[{"a":tru}],"node_key":"${KEY}"}`
    expect(await find(broken, chunkBytes)).toEqual({ kind: 'unreadable', salvaged: KEY })
    expect(await find(gzipped(broken), chunkBytes)).toEqual({ kind: 'unreadable', salvaged: KEY })
    const quoted = String.raw`{"data":[x{"m":"\"node_key\":\"oen1-other\""}`
    expect(await find(quoted, chunkBytes)).toEqual({ kind: 'unreadable', salvaged: null })
  })
})

it('stops looking where a body inflates to more than the limit', async () => {
  const bomb = gzipped(`{"data":["${'x'.repeat(2_000_000)}"],"node_key":"${KEY}"}`)
  expect(await find(bomb)).toEqual({ kind: 'unreadable', salvaged: null })
})
