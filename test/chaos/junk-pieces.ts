/** What a piece of junk is made of. */

import { promisify } from 'node:util'
import { gzip } from 'node:zlib'
import type { EndpointName } from '../../src/simulator/endpoints.ts'
import type { Dice } from '../../src/simulator/fleet/dice.ts'
import type { AnyVerdict } from './witness.ts'

export type Kind = AnyVerdict['kind']
export type Body = string | Uint8Array

export interface Piece {
  readonly endpoint: EndpointName
  readonly body: Body
  readonly headers?: Readonly<Record<string, string>>
  /** What may be said; no reply at all is always possible while things are being killed. */
  readonly mayBe: readonly Kind[]
}

/** Inflated: over the limit of a log body (64 MiB), packed some 100 KiB. */
const BOMB_BYTES = 96 * 1_024 * 1_024

export function withKey(endpoint: EndpointName, key: string, mayBe: readonly Kind[]): Piece {
  const data = endpoint === 'log' ? { data: [{ a: '1' }], log_type: 'status' } : {}
  const body = JSON.stringify({
    node_key: key,
    ...data,
    ...(endpoint === 'write' && { queries: {}, statuses: {} }),
  })
  return { endpoint, body, mayBe }
}

export function keyHeader(key: string): Readonly<Record<string, string>> {
  return { Authorization: `NodeKey ${key}` }
}

export function makeBomb(key: string): Promise<Buffer> {
  const bomb = Buffer.alloc(BOMB_BYTES, 0x20)
  bomb.write(`{"node_key":"${key}","log_type":"result","data":[`)
  return promisify<Uint8Array, Buffer>(gzip)(bomb)
}

export function other(character = 'A'): string {
  return character === 'A' ? 'B' : 'A'
}

/** One bit of the character is not what it was; it stays one that a header may have. */
export function flipped(character = 'A', dice: Dice): string {
  const code = character.charCodeAt(0)
  const made = [1, 2, 4, 8, 16, 32].map((bit) => code ^ bit).filter((flip) => flip > 0x20 && flip < 0x7f)
  return String.fromCharCode(made[Math.floor(dice.next() * made.length)] ?? 0x21)
}
