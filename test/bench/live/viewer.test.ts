import { describe, expect, it } from 'vitest'
import { rowKey, ViewedRows, type StreamLine } from './viewer.ts'

function row(k: string, cursor?: string): StreamLine {
  return { type: 'row', nodeId: 'a', columns: { k }, ...(cursor === undefined ? {} : { cursor }) }
}

describe('what a viewer has seen', () => {
  it('counts up to the last cursor: what came after it comes again', () => {
    const viewed = new ViewedRows()
    for (const line of [row('1'), row('2', 'c2'), row('3')]) viewed.take(line)
    expect(viewed.broken()).toBe('c2')
    for (const line of [row('3'), row('4', 'c4')]) viewed.take(line)
    expect(viewed.rows).toEqual(['1', '2', '3', '4'].map((k) => rowKey('a', { k })))
  })

  it('is nothing where the connection broke before the first cursor', () => {
    const viewed = new ViewedRows()
    viewed.take(row('1'))
    expect(viewed.broken()).toBeNull()
    expect(viewed.rows).toEqual([])
  })

  it('has ended when the stream says so', () => {
    const viewed = new ViewedRows()
    viewed.take({ type: 'progress', status: 'open', cursor: 'c0' })
    expect(viewed.ended).toBeNull()
    viewed.take({ type: 'end', status: 'complete', cursor: 'c0' })
    expect(viewed.ended).toBe('complete')
  })
})
