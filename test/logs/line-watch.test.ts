import { describe, expect, it } from 'vitest'
import { utf8 } from '../../src/lib/bytes.ts'
import { LineWatches, type LineWatch } from '../../src/logs/line-watch.ts'
import { originAt } from './support.ts'

const line = {
  origin: originAt('environment', 'node', 0),
  type: 'snapshot',
  name: 'a',
  index: 0,
  bytes: utf8('{}'),
} as const

function watching(seen: string[], name: string, fault?: 'see' | 'finish'): LineWatch {
  return {
    name,
    see() {
      if (fault === 'see') throw new Error('injected')
      seen.push(`${name} saw`)
    },
    async finish() {
      if (fault === 'finish') throw new Error('injected')
      seen.push(`${name} finished`)
    },
  }
}

describe('watches of lines', () => {
  it.each(['see', 'finish'] as const)(
    'that fail to %s harm neither the lines nor each other',
    async (fault) => {
      const seen: string[] = []
      const watches = new LineWatches([watching(seen, 'broken', fault), watching(seen, 'sound')])
      watches.see(line)
      await watches.finish()
      expect(seen).toEqual(expect.arrayContaining(['sound saw', 'sound finished']))
    },
  )
})
