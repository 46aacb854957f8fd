import { expect, it } from 'vitest'
import { NodeMap } from '../../../src/simulator/fleet/node-map.ts'
import { splitNodesOf } from '../../../src/simulator/fleet/split-nodes.ts'

const CLONES = [
  { id: 'original', cloneOf: null, hostname: 'twin' },
  { id: 'copy', cloneOf: 'original', hostname: 'twin' },
  { id: 'odd', cloneOf: 'single', hostname: 'alone' },
]
const client = {
  async *items<Item>(): AsyncGenerator<Item> {
    for (const clone of CLONES) yield clone as Item
  },
}

it('only machines that several members are may have been split: others would go unnoticed as two nodes', async () => {
  expect([...(await splitNodesOf(client, 'env', new Set(['twin'])))]).toEqual([['copy', 'original']])
})

it('what was split is taken for the node that it came from, whichever showed itself first', async () => {
  const nodes = new NodeMap()
  nodes.know(await splitNodesOf(client, 'env', new Set(['twin'])))
  expect(nodes.bind('copy', 7)).toBe(true)
  expect(nodes.bind('original', 7)).toBe(true)
  expect([nodes.machineOf('copy'), nodes.machineOf('original'), nodes.nodesOf(7)]).toEqual([
    7,
    7,
    ['original', 'copy'],
  ])
  expect(nodes.bind('odd', 7)).toBe(false)
})
