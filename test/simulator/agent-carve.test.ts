import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { SimulatedAgent } from '../../src/simulator/agent.ts'
import { sha256Hex } from '../../src/simulator/carve.ts'
import { useAgentFixture } from './agent-fixture.ts'
import { NODE_KEY } from './scripted-server.ts'

const fixture = useAgentFixture()
const { enrolledAgent, lastSent, misbehave, once, reply, sent } = fixture

describe('a carve', () => {
  const content = 'x'.repeat(10_000)
  let folder = ''
  let file = ''
  beforeAll(() => {
    folder = mkdtempSync(path.join(tmpdir(), 'agent-'))
    file = path.join(folder, 'evidence.txt')
    writeFileSync(file, content)
  })
  afterAll(() => rmSync(folder, { recursive: true }))

  async function carve(agent: SimulatedAgent) {
    const sql = `SELECT * FROM carves WHERE carve=1 AND path='${file}'`
    once('/distributed/read', { json: { queries: { q: sql } } })
    await agent.pollDistributed()
    await agent.carvePending()
    return agent.carves[0]
  }

  it('asked for by a query arrives in blocks with the hash that the agent tells', async () => {
    const agent = await enrolledAgent({ flags: { carver_block_size: '4096' } })
    const record = await carve(agent)
    const begin = lastSent('/carve/begin')?.body
    const blocks = sent('/carve/block').map((request) => request.body)
    const archive = Buffer.concat(blocks.map((block) => Buffer.from(block.data as string, 'base64')))
    expect(begin).toEqual({
      block_count: Math.ceil(archive.byteLength / 4096),
      block_size: 4096,
      carve_size: archive.byteLength,
      carve_id: record?.guid,
      request_id: record?.requestId,
      node_key: NODE_KEY,
    })
    expect(blocks.map((block) => block.block_id)).toEqual(blocks.map((_, i) => i))
    expect(Object.keys(blocks[0] ?? {})).toEqual(['block_id', 'session_id', 'request_id', 'data'])
    expect(record).toMatchObject({
      status: 'SUCCESS',
      sha256: sha256Hex(archive),
      sizeBytes: archive.byteLength,
    })
    expect(sent('/distributed/write')[0]?.body.queries).toMatchObject({
      q: [{ status: 'SCHEDULED', carve_guid: record?.guid, request_id: record?.requestId }],
    })
  })

  it('sends a block that was not taken again, three times at most', async () => {
    const agent = await enrolledAgent()
    once('/carve/block', { raw: 'retry' }, 'close', { raw: 'retry' })
    expect((await carve(agent))?.status).toBe('SUCCESS')
    expect(fixture.waits).toEqual([1000, 4000])
  })

  it('ends when a block fails three times', async () => {
    const agent = await enrolledAgent()
    misbehave('/carve/block', { raw: 'unknown session', status: 404 })
    expect(await carve(agent)).toMatchObject({
      status: 'DATA POST FAILED',
      problem: expect.stringContaining('block 0'),
    })
  })

  it('ends at once when the start gives no session', async () => {
    const agent = await enrolledAgent()
    reply('/carve/begin', { node_invalid: true })
    expect((await carve(agent))?.status).toBe('DATA POST FAILED')
    expect([sent('/carve/begin').length, sent('/carve/block').length, agent.nodeKey]).toEqual([
      1,
      0,
      NODE_KEY,
    ])
  })
})
