/** Which lines a sink wants. */

import { expect, it } from 'vitest'
import { utf8 } from '../../../src/lib/bytes.ts'
import { LineFilter } from '../../../src/logs/deliver/line-filter.ts'
import { DEFAULT_FILTER, type SinkFilter } from '../../../src/logs/deliver/sink-config.ts'
import type { ArchivedLine, LineHeader } from '../../../src/logs/line.ts'

function wants(filter: Partial<SinkFilter>, header: Partial<LineHeader>, line = '{}'): boolean {
  const archived = {
    header: {
      type: 'result',
      name: '',
      query: null,
      tags: [],
      ...header,
    } as unknown as ArchivedLine['header'],
    line: utf8(line),
  }
  return new LineFilter({ ...DEFAULT_FILTER, ...filter }).wants(archived)
}

it('wants everything where nothing is said', () => {
  for (const type of ['result', 'snapshot', 'status', 'query', 'audit'] as const)
    expect(wants({}, { type })).toBe(true)
})

it('goes by type', () => {
  expect(wants({ types: ['status'] }, { type: 'status' })).toBe(true)
  expect(wants({ types: ['status'] }, { type: 'result' })).toBe(false)
})

it("goes by the agent's name or the configuration's, with * for any characters", () => {
  expect(wants({ queries: ['pack_*'] }, { name: 'pack_a_x' })).toBe(true)
  expect(wants({ queries: ['x'] }, { name: 'pack_a_x', query: 'x' })).toBe(true)
  expect(wants({ queries: ['y', '*z'] }, { name: 'pack_a_x', query: 'x' })).toBe(false)
  expect(wants({ queries: ['*'] }, { type: 'status', name: '' })).toBe(false)
})

it('goes by tag: one is enough', () => {
  expect(wants({ tags: ['a', 'b'] }, { tags: ['b', 'c'] })).toBe(true)
  expect(wants({ tags: ['a'] }, { tags: [] })).toBe(false)
})

it('goes by the severity of status lines, as numbers or texts', () => {
  const status = { type: 'status' } as const
  expect(wants({ minSeverity: 'warning' }, status, '{"severity":"0"}')).toBe(false)
  expect(wants({ minSeverity: 'warning' }, status, '{"severity":1}')).toBe(true)
  expect(wants({ minSeverity: 'error' }, status, '{"severity":"1"}')).toBe(false)
  expect(wants({ minSeverity: 'error' }, status, '{"severity":"2"}')).toBe(true)
  expect(wants({ minSeverity: 'error' }, status, '{}')).toBe(true)
  expect(wants({ minSeverity: 'error' }, { type: 'result' }, '{"severity":"0"}')).toBe(true)
})

it('skips an object by its row only where none of its lines can be wanted', () => {
  const filter = new LineFilter({ ...DEFAULT_FILTER, types: ['result'], queries: ['x'] })
  expect(filter.mayHold({ type: 'status', names: null })).toBe(false)
  expect(filter.mayHold({ type: 'result', names: [''] })).toBe(false)
  expect(filter.mayHold({ type: 'result', names: null })).toBe(true)
  expect(filter.mayHold({ type: 'result', names: ['pack_a_x'] })).toBe(true)
})
