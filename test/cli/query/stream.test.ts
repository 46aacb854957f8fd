/** A query's stream over connections that break: each row once. */

import { expect, it } from 'vitest'
import type { AdminRoute } from '../../../src/cli/admin-route.ts'
import { streamLines } from '../../../src/cli/query/stream.ts'

const row = (nodeId: string, number: number, cursor?: string) =>
  `${JSON.stringify({ type: 'row', nodeId, hostname: null, row: number, columns: {}, cursor })}\n`
const END = `${JSON.stringify({ type: 'end', status: 'complete', cursor: 'z' })}\n`

/** A server of which each connection says this, and then breaks. */
function serverThatSays(...connections: string[]) {
  const asked: string[] = []
  async function* read(path: string): AsyncGenerator<Uint8Array> {
    asked.push(path)
    yield Buffer.from(connections.shift() ?? '')
    throw new Error('broken')
  }
  return { asked, route: { read } as unknown as AdminRoute }
}

it('goes on after the cursor, without the rows that were shown since', async () => {
  const { asked, route } = serverThatSays(
    row('a', 0) + row('a', 1, 'one') + row('b', 0) + '{"type":"row","nodeI',
    row('b', 0) + row('b', 1, 'two') + '{"type":"newer"}\n' + END,
  )
  const shown: string[] = []
  for await (const lines of streamLines(route, 'q', new AbortController().signal))
    for (const { line } of lines) shown.push(line.type === 'row' ? `${line.nodeId}/${line.row}` : line.type)
  expect(shown).toEqual(['a/0', 'a/1', 'b/0', 'b/1', 'end'])
  expect(asked).toEqual(['/q/stream', '/q/stream?cursor=one'])
})
