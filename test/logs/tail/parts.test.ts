import { describe, expect, test } from 'vitest'
import { textOf, utf8 } from '../../../src/lib/bytes.ts'
import { Patience } from '../../../src/logs/tail/patience.ts'
import { SeenIds } from '../../../src/logs/tail/seen-ids.ts'
import { ViewerQueue } from '../../../src/logs/tail/viewer-queue.ts'

function taken(queue: ViewerQueue): string[] {
  const bytes = queue.take()
  return bytes === null ? [] : textOf(bytes).trimEnd().split('\n')
}

function queueOf(maxLines: number, maxBytes: number, items: readonly string[]): ViewerQueue {
  const queue = new ViewerQueue({ maxLines, maxBytes })
  for (const item of items) queue.push(utf8(item))
  return queue
}

describe('what waits for a viewer', () => {
  test('comes in order, once', () => {
    const queue = queueOf(10, 100, ['a', 'b'])
    expect(taken(queue)).toEqual(['a', 'b'])
    expect([queue.isEmpty, queue.take()]).toEqual([true, null])
  })

  test('is as many lines and bytes as may wait; the rest is a gap after them', () => {
    expect(taken(queueOf(2, 100, ['a', 'b', 'c', 'd']))).toEqual(['a', 'b', '{"type":"gap","lines":2}'])
    expect(taken(queueOf(9, 3, ['aa', 'b', 'c']))).toEqual(['aa', 'b', '{"type":"gap","lines":1}'])
  })

  test('goes on after a gap was told, not before: no line overtakes the gap', () => {
    const queue = queueOf(1, 300_000, ['x'.repeat(200_000), 'b'])
    expect(taken(queue)).toEqual(['x'.repeat(200_000), '{"type":"gap","lines":1}'])
    queue.push(utf8('c'))
    expect(taken(queue)).toEqual(['c'])
  })

  test('is one line at least, however long', () => {
    expect(taken(queueOf(9, 3, ['longer']))).toEqual(['longer'])
  })

  test('comes in chunks of 256 KiB, the gap and the end with the last', () => {
    const queue = queueOf(2, 1_000_000, ['a'.repeat(200_000), 'b'.repeat(200_000), 'c'])
    queue.finish(utf8('end'))
    expect(taken(queue)).toEqual(['a'.repeat(200_000)])
    expect(taken(queue)).toEqual(['b'.repeat(200_000), '{"type":"gap","lines":1}', 'end'])
  })

  test('counts what was never read for it', () => {
    const queue = queueOf(9, 9, ['a'])
    queue.miss(7)
    expect(taken(queue)).toEqual(['a', '{"type":"gap","lines":7}'])
  })
})

describe('ids that were shown', () => {
  test('are new once', () => {
    const seen = new SeenIds(4)
    expect(['a', 'b', 'a'].map((id) => seen.isNew(id))).toEqual([true, true, false])
  })

  test('are forgotten in the order they came, half of them at a time', () => {
    const seen = new SeenIds(4)
    for (const id of ['a', 'b', 'c', 'd', 'e']) seen.isNew(id)
    expect(['c', 'd', 'e'].map((id) => seen.isNew(id))).toEqual([false, false, false])
    expect(seen.isNew('a')).toBe(true)
  })
})

test('patience is a second at most and comes back at a tenth of the time', () => {
  const patience = new Patience(0)
  expect(patience.leftMs(0)).toBe(1_000)
  patience.spend(1_000)
  expect(patience.leftMs(1_000)).toBe(100)
  expect(patience.leftMs(60_000)).toBe(1_000)
})
