/** What travels through the log queue: its format outlives a deploy, in both directions. */

import { expect, it } from 'vitest'
import { textOf, utf8 } from '../../src/lib/bytes.ts'
import { decodeMessage, encodeMessage, messageName, type LogMessage } from '../../src/logs/message.ts'
import { originAt } from './support.ts'

const origin = originAt('0a000000-0000-4000-8000-000000000001', '0b000000-0000-4000-8000-000000000002', 7)
const { environmentId } = origin
const body: LogMessage = { kind: 'body', origin, body: utf8('{\n}\n') }
const pointer: LogMessage = { kind: 'pointer', origin: null, key: 'inbox/x/y' }
const answers: LogMessage = { kind: 'answers', environmentId, shards: 4, shard: 1, number: 9 }
const audit: LogMessage = { kind: 'audit', environmentId: null, ids: ['a', 'b'] }

it.each([body, pointer, answers, audit])('$kind comes apart as it was put together', (message) => {
  expect(decodeMessage(encodeMessage(message))).toEqual(message)
})

it('what a Worker of before can read is still written so that it does', () => {
  for (const message of [body, pointer]) expect(textOf(encodeMessage(message))).toMatch(/^\{"format":1,/)
})

it('what is new has a format that a Worker of before leaves for later', () => {
  expect(textOf(encodeMessage(answers))).toBe(
    `{"format":2,"kind":"answers","environmentId":"${environmentId}","shards":4,"shard":1,"number":9}\n`,
  )
  expect(textOf(encodeMessage(audit))).toBe(
    '{"format":2,"kind":"audit","environmentId":null,"ids":["a","b"]}\n',
  )
})

it.each([
  ['a format of tomorrow', '{"format":3,"kind":"audit","environmentId":null,"ids":[]}\n'],
  ['a kind of tomorrow', '{"format":2,"kind":"metric"}\n'],
  ['a body of nobody', '{"format":1,"kind":"body"}\n{}'],
  ['answers of no shard', `{"format":2,"kind":"answers","environmentId":"${environmentId}","shards":4}\n`],
])('%s is left for later', (_what, text) => {
  expect(decodeMessage(utf8(text))).toBeNull()
})

it('two about the same have one name', async () => {
  expect(await messageName(answers)).toBe(await messageName({ ...answers }))
  expect(await messageName(audit)).not.toBe(await messageName({ ...audit, ids: ['a'] }))
})
