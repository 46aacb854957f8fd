/** Batches are cut at the same places again, whatever happened between. */

import fc from 'fast-check'
import { expect, it } from 'vitest'
import { utf8 } from '../../../src/lib/bytes.ts'
import { BatchCutter, type Cut } from '../../../src/logs/deliver/batch-cutter.ts'
import type { LineSource, SourceStep } from '../../../src/logs/deliver/line-source.ts'
import { comparePlaces, type Place } from '../../../src/logs/deliver/place.ts'
import type { ArchivedLine } from '../../../src/logs/line.ts'
import { check } from '../../properties/check.ts'

/** Objects of lines; null is a line that is not wanted. */
type Objects = readonly (readonly (string | null)[])[]

function sourceOf(objects: Objects): LineSource {
  return {
    async *stepsAfter([object = 0, skip = 0]: Place): AsyncGenerator<SourceStep> {
      for (const [at, lines] of objects.entries()) {
        if (at < Number(object)) continue
        for (const [index, text] of lines.entries()) {
          const isDone = at === Number(object) && index < Number(skip)
          if (!isDone && text !== null) yield { line: lineOf(text), after: [at, index + 1] }
        }
        yield { line: null, after: [at + 1, 0] }
      }
    },
  }
}

function lineOf(text: string): ArchivedLine {
  return { header: { eventId: text } as ArchivedLine['header'], line: utf8(text) }
}

function idsOf({ lines }: Cut): string[] {
  return lines.map(({ line }) => line.header.eventId)
}

const objectsOf = fc.array(fc.array(fc.option(fc.string({ minLength: 1, maxLength: 9 })), { maxLength: 8 }), {
  maxLength: 6,
})
const limitsOf = fc.record({
  maxBytes: fc.integer({ min: 1, max: 30 }),
  maxLines: fc.integer({ min: 1, max: 6 }),
})

async function cutAll(objects: Objects, limits: { maxBytes: number; maxLines: number }): Promise<Cut[]> {
  const cutter = new BatchCutter(sourceOf(objects), [0, 0])
  const cuts: Cut[] = []
  for (let cut = await cutter.next(limits); cut !== null; cut = await cutter.next(limits)) cuts.push(cut)
  return cuts
}

it('every wanted line is in one batch, in order, within the limits', async () => {
  await check(
    fc.asyncProperty(objectsOf, limitsOf, async (objects, limits) => {
      const cuts = await cutAll(objects, limits)
      expect(cuts.flatMap(idsOf)).toEqual(objects.flat().filter((text) => text !== null))
      for (const { lines, bytes } of cuts) {
        expect(lines.length <= limits.maxLines).toBe(true)
        expect(lines.length < 2 || bytes <= limits.maxBytes).toBe(true)
      }
      for (const [at, cut] of cuts.entries()) expect(cut.start).toEqual(cuts[at - 1]?.end ?? [0, 0])
    }),
    200,
  )
})

it('a batch is the same when it is cut again from where it began', async () => {
  await check(
    fc.asyncProperty(objectsOf, limitsOf, async (objects, limits) => {
      for (const cut of await cutAll(objects, limits)) {
        const again = await new BatchCutter(sourceOf(objects), cut.start).until(cut.end)
        expect(idsOf(again)).toEqual(idsOf(cut))
        const fresh = await new BatchCutter(sourceOf(objects), cut.start).next(limits)
        expect(fresh?.end).toEqual(cut.end)
      }
    }),
    100,
  )
})

it('a planned batch whose lines are gone is over all the same', async () => {
  const cutter = new BatchCutter(sourceOf([['a'], ['b']]), [0, 0])
  const cut = await cutter.until([0, 5])
  expect(idsOf(cut)).toEqual(['a'])
  expect(comparePlaces(cutter.place, [0, 5])).toBe(0)
  expect(idsOf((await cutter.next({ maxBytes: 9, maxLines: 9 })) ?? cut)).toEqual(['b'])
})
