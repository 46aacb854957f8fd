import { expect, it } from 'vitest'
import { dayNodeId, objectsOfAnHour } from './day.ts'

it('an hour becomes as many objects as keep each below 32 MiB, with as many lines of a node in each', () => {
  expect(objectsOfAnHour({ nodes: 10_000, linesAnHour: 20 })).toBe(5)
  expect(objectsOfAnHour({ nodes: 100, linesAnHour: 20 })).toBe(1)
  expect(objectsOfAnHour({ nodes: 1_000_000, linesAnHour: 20 })).toBe(20)
})

it('node ids are in the order of the nodes', () => {
  const ids = Array.from({ length: 1_000 }, (_, node) => dayNodeId(node, 1_000))
  expect(ids).toEqual(ids.toSorted())
  expect(new Set(ids).size).toBe(1_000)
})
