import { expect, it } from 'vitest'
import { readCommand } from '../../src/queries/feed-commands.ts'

it.each([
  ['{"type":"credit","rows":500}', { type: 'credit', rows: 500 }],
  ['{"type":"active"}', { type: 'active' }],
  ['{"type":"credit","rows":0}', null],
  ['{"type":"credit","rows":1.5}', null],
  ['{"type":"credit","rows":1000001}', null],
  ['{"type":"credit"}', null],
  ['{"type":"stop"}', null],
  ['null', null],
  ['[]', null],
  ['credit', null],
  [`{"type":"active","x":"${'y'.repeat(2_000)}"}`, null],
])('reads %s', (message, expected) => {
  expect(readCommand(message)).toEqual(expected)
})

it('takes no bytes', () => {
  expect(readCommand(new ArrayBuffer(4))).toBeNull()
})
